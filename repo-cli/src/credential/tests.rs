use super::*;

fn text(credential: Credential) -> String {
    match credential {
        Credential::Password(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        Credential::KeyFile(_) => panic!("a key file"),
    }
}

fn found(variables: &[(&str, &str)]) -> Source {
    source(&CredentialFlags::default(), &Env::fixed(variables)).unwrap()
}

#[test]
fn flags_go_before_larder_before_restic() {
    let all = [
        ("RESTIC_PASSWORD", "r"),
        ("RESTIC_PASSWORD_FILE", "rf"),
        ("LARDER_PASSWORD", "l"),
        ("LARDER_PASSWORD_FILE", "lf"),
    ];
    let flags = CredentialFlags {
        password_file: Some("f".into()),
        ..Default::default()
    };
    assert_eq!(
        source(&flags, &Env::fixed(&all)).unwrap(),
        Source::File("f".into())
    );
    assert_eq!(found(&all), Source::File("lf".into()));
    assert_eq!(found(&all[..3]), Source::Variable("l".into()));
    assert_eq!(found(&all[..2]), Source::File("rf".into()));
    assert_eq!(found(&all[..1]), Source::Variable("r".into()));
    assert_eq!(
        found(&[("RESTIC_PASSWORD_COMMAND", "c")]),
        Source::Command("c".into())
    );
    assert_eq!(
        found(&[("LARDER_KEY_FILE", "k")]),
        Source::KeyFile("k".into())
    );
    assert_eq!(found(&[("RESTIC_KEY_FILE", "k")]), Source::Ask);
}

#[test]
fn contradictions_are_refused() {
    let no_password = CredentialFlags {
        insecure_no_password: true,
        ..Default::default()
    };
    let env = Env::fixed(&[("RESTIC_PASSWORD", "x")]);
    let failure = source(&no_password, &env).unwrap_err();
    assert!(
        failure.text().contains("$RESTIC_PASSWORD"),
        "{}",
        failure.text()
    );
    assert_eq!(
        source(&no_password, &Env::fixed(&[])).unwrap(),
        Source::Empty
    );

    let both = CredentialFlags {
        password_file: Some("f".into()),
        key_file: Some("k".into()),
        ..Default::default()
    };
    assert_eq!(source(&both, &env).unwrap_err().code(), crate::exit::USAGE);
    let env = Env::fixed(&[("LARDER_KEY_FILE", "k"), ("LARDER_PASSWORD_FILE", "f")]);
    assert!(source(&CredentialFlags::default(), &env).is_err());
}

#[test]
fn files_and_commands_are_trimmed_and_must_not_be_empty() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("password");
    let read = |content: &[u8]| {
        std::fs::write(&path, content).unwrap();
        from_source(Source::File(path.clone()))
    };
    assert_eq!(text(read(b"secret\n").unwrap()), "secret");
    assert_eq!(
        text(read("\u{feff} two words\r\n\n".as_bytes()).unwrap()),
        "two words"
    );
    assert!(read(b" \n").is_err());
    assert!(read(&vec![b'x'; (64 << 10) + 1]).is_err());

    let run = |command: &str| from_source(Source::Command(command.into()));
    assert_eq!(text(run("printf '%s\\n' 'a b'").unwrap()), "a b");
    assert_eq!(text(run("echo $HOME").unwrap()), "$HOME");
    let failure = run("sh -c 'echo secret; exit 3'").err().unwrap();
    assert!(
        failure.text().contains("exit status: 3"),
        "{}",
        failure.text()
    );
    assert!(!failure.text().contains("secret"));
    for bad in ["", "echo 'x", "/does/not/exist", "true"] {
        assert!(run(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_piped_password_is_one_line() {
    let line = |bytes: &[u8]| first_line(bytes).unwrap().to_vec();
    assert_eq!(line(b"secret\r\nrest"), b"secret");
    assert_eq!(line(b" kept \n"), b" kept ");
    assert!(line(b"").is_empty());
}
