//! Facts about patterns, and random ones against a plain reading of what they mean.

use super::*;
use crate::ErrorKind;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

fn list(patterns: &[&str]) -> List {
    List::parse(patterns, false).unwrap()
}

fn matches(pattern: &str, path: &str) -> bool {
    list(&[pattern]).matches(Path::new(path))
}

#[test]
fn a_pattern_is_compared_name_by_name() {
    for (pattern, path, expected) in [
        // Whole names.
        ("cache", "/home/cache/img/1", true),
        ("cache", "/home/cache", true),
        ("cache", "/home/cached", false),
        ("cache", "/mycache", false),
        // A slash at the end means nothing, one at the beginning the root.
        ("cache/", "/home/cache", true),
        ("/opt", "/opt/tool", true),
        ("/opt", "/usr/opt/tool", false),
        // A star stays within a name.
        ("py*on", "/usr/python", true),
        ("py*on", "/usr/jython", false),
        ("src/**/out", "/w/src/a/out/file", true),
        ("src/**/out", "/src/out/file", true),
        ("src/**/out", "/w/src/out", true),
        ("src/**/out", "/src/a/b/c/out", true),
        ("*.rs", "/src/lib.rs", true),
        ("*.rs", "/src/lib.py", false),
        ("with space.txt", "/a/with space.txt", true),
    ] {
        assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
    }
}

#[test]
fn where_a_pattern_may_begin_and_end() {
    for (pattern, path, expected) in [
        // Nothing but stars, and the root.
        ("*", "/var/log", true),
        ("**", "/var/log", true),
        ("/**", "/var", true),
        ("/", "/var/log", true),
        // From any directory on, or from the root; and what lies below.
        ("lo*", "/var/log/apt/term", true),
        ("/log*", "/var/log/apt", false),
        ("log/*", "/var/log/apt", true),
        ("log/*", "/var/log", false),
        ("cron*/*.sh", "/etc/daily/a.sh", false),
        ("Mail.*", "/home/mail.txt", false),
        ("spool/mail.*", "var/spool/mail.txt", true),
        // Paths are made short before they are compared.
        ("/var///log", "/var/log", true),
        ("/var/../log", "/var/log", false),
        ("/var/../log", "/log", true),
        ("/../log", "/log", true),
        ("../log", "/log", false),
        ("./log", "/var/log", true),
        (".", "/var", false),
        ("var/..", "/var", false),
        // A star is one name, two are any number, none too.
        ("/var/*", "/var", false),
        ("/var/**", "/var", true),
        ("/var/*old.*", "/var/log/old.gz", false),
        ("/var/*/old.*", "/var/log/old.gz", true),
        ("/*/*/log/old.*", "/var/log/old.gz", false),
        ("/*/*/apt/old.*", "/var/log/apt/old.gz", true),
        ("lib/*/man/*/*page*.gz", "/opt/lib/x/man/de/a.gz", false),
        ("lib/*/man/*/*page*.gz", "/opt/lib/x/man/de/page.gz", true),
        ("www/**/static/*.js", "/srv/www/x/y/static/app.js", true),
        ("www/**/static/*.js", "/srv/www/app.ts", false),
        ("www/**/static/*.js", "/static/www/app.js", false),
        ("www/**/tmp/**/x", "/srv/www/a/tmp/b/c/x", true),
        ("home/**/note*", "/home/bob/x/hidden/n", false),
        ("home/**/cache*/**/c", "/home/bob/cache2/z/a/b/c", true),
        // What takes back alone, and what is empty, matches nothing.
        ("!var", "/var", false),
        ("", "/var", false),
        // A path that is not absolute fits no pattern that is.
        ("/var", "var", false),
    ] {
        assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
    }
}

/// What was asked for by name is taken, and what `**` means below it left out all the same.
#[test]
fn a_path_that_was_asked_for_is_forgiven_and_not_what_lies_below() {
    for (pattern, path, below) in [
        ("/dev/**", "/dev", true),
        ("e/**", "/x/e", true),
        ("/", "/x", true),
        ("**", "/x", true),
        ("/*", "/x", false),
        ("/x/*", "/x", true),
        ("/x", "/x", false),
        ("x", "/x", false),
        ("/d*/**", "/dev/shm", true),
        ("/dev/**/z", "/dev", false),
    ] {
        let list = list(&[pattern, "!taken-back"]);
        let asked = list.reach(Path::new(path)).forgiven();
        assert!(!asked.matches(), "{pattern} {path}");
        let inside = list.enter(&asked, b"inside");
        assert_eq!(inside.matches(), below, "{pattern} {path}");
        assert!(asked.below_may_match() || !below, "{pattern} {path}");
        let deeper = list.enter(&inside, b"deeper");
        assert_eq!(deeper.matches(), below, "{pattern} {path}");
        assert!(!list.enter(&asked, b"taken-back").matches());
    }
}

#[test]
fn components_are_those_of_go() {
    for (pattern, name, expected) in [
        ("m*n?o", "mppnqo", true),
        ("*o", "ooo", true),
        ("m?n", "mön", true),
        ("m??n", "mön", false),
        ("m[ö]n", "mön", true),
        ("m[^m]n", "mön", true),
        ("m[^m][^m]n", "mön", false),
        ("[!m]", "!", true),
        ("[!m]", "n", false),
        ("[k-m-o]", "-", false),
        ("{k,m}", "{k,m}", true),
        ("{k,m}", "k", false),
        ("[\\]k]", "]", true),
        ("[k\\-m]", "-", true),
        ("k\\?m", "k?m", true),
        ("k\\?m", "kxm", false),
        ("k\\m", "km", true),
        ("k]m", "k]m", true),
        ("k[]]m", "k]m", false),
        ("k**m", "kxxm", true),
        ("***", "anything", true),
        ("*.", "k.", true),
        ("*..", "..", true),
        ("*.log", ".log", true),
        (".*", ".k", true),
        ("\\!k", "!k", true),
        ("#k", "#k", true),
    ] {
        let found = match check(pattern) {
            Ok(()) => matches(pattern, &format!("/{name}")),
            Err(_) => false,
        };
        assert_eq!(found, expected, "{pattern} {name}");
        if let Ok(component) = Component::parse(pattern.as_bytes()) {
            assert_eq!(component.matches(name.as_bytes()), expected);
        }
    }
    let literal = |text: &[u8]| Some(Component::parse(text).unwrap().literal()?.to_vec());
    assert_eq!(literal(b"a\\*\xff"), Some(b"a*\xff".to_vec()));
    assert_eq!(literal(b"**"), None);
}

#[test]
fn what_makes_no_sense_is_named_with_the_reason() {
    for (pattern, why) in [
        ("log/[", "not closed"),
        ("log/**/[a", "not closed"),
        ("[^", "not closed"),
        ("[a-", "not closed"),
        ("a[", "not closed"),
        ("[]a]", "is empty"),
        ("[^]a]", "is empty"),
        ("[-]", "between nothing"),
        ("[x-]", "ends with a `-`"),
        ("[a-]*", "ends with a `-`"),
        ("[a-b-c]", "between nothing"),
        ("a\\", "nothing follows"),
        ("a\\/b", "nothing follows"),
        ("[a/b]", "not closed"),
    ] {
        let error = check(pattern).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.subject().to_string(), pattern);
        assert!(error.detail_text().unwrap().contains(why), "{error}");
        let patterns = ["fine", pattern];
        assert!(List::parse(&patterns, false).is_err());
    }
    assert!(check("x".repeat(PATTERN_BYTES_MAX + 1)).is_err());
    assert!(check("x".repeat(PATTERN_BYTES_MAX)).is_ok());
}

#[test]
fn what_may_still_come_below() {
    for (patterns, path, matched, below, all) in [
        (&[][..], "/srv", false, false, false),
        (&["", ""], "/srv", false, false, false),
        (&["*.rs"], "/srv", false, true, false),
        (&["*.rs"], "/srv/a.rs", true, true, true),
        (&["/*/*/log/old.*"], "/srv/log/old.gz", false, false, false),
        (&["/*/*/log/old.*"], "/srv/www/log", false, true, false),
        (&["/srv/www/*"], "/srv", false, true, false),
        (&["/srv/www/*"], "/srx", false, false, false),
        (&["/srv/**/note"], "/srv/www/x", false, true, false),
        (&["/srv/*/note"], "/srv/www/x/y", false, false, false),
        (&["/srv/www"], "/srv/www/x", true, true, true),
        (&["/srv/**"], "/srv/www", true, true, true),
        (&["/"], "/", true, true, true),
        (&["/srv", "!/srv/www"], "/srv", true, true, false),
        (&["/srv", "!/srv/www"], "/srv/www", false, false, false),
        (&["/srv", "!/srv/www/**"], "/srv/www", false, false, false),
        (&["!/srv/www/**", "/srv"], "/srv/www", true, true, true),
        (&["/srv", "!/srv/www"], "/srv/ftp", true, true, true),
        (&["/srv", "!www"], "/srv/ftp", true, true, false),
        (&["/srv", "!/srv/www", "x"], "/srv/www", false, true, false),
        (
            &["/srv", "!/srv/www", "x"],
            "/srv/www/a/x",
            true,
            true,
            true,
        ),
        (&["!/srv"], "/srv", false, false, false),
        (&["/a/**/z", "!/a/b"], "/a/c", false, true, false),
    ] {
        let reached = list(patterns).reach(Path::new(path));
        let found = (
            reached.matches(),
            reached.below_may_match(),
            reached.all_below_match(),
        );
        assert_eq!(found, (matched, below, all), "{patterns:?} {path}");
    }
}

#[test]
fn a_home_but_for_some_of_it() {
    let list = list(&[
        "/home/ann/*",
        "!/home/ann/letters",
        "!/home/ann/src",
        "target",
        "*.bak",
    ]);
    let excluded = |path: &str| list.matches(Path::new(path));
    assert!(excluded("/home/ann/films") && excluded("/home/ann/.cache/x"));
    assert!(!excluded("/home/ann/src/main.rs") && !excluded("/home/ann"));
    assert!(excluded("/home/ann/src/x/target/y"));
    assert!(excluded("/home/ann/letters/a.bak"));
}

#[test]
fn the_case_of_letters_may_not_matter() {
    let list = List::parse(&["/Img/*.JPG", "ÄPFEL", "[A-C]x"], true).unwrap();
    let matches = |path: &[u8]| list.matches(Path::new(OsStr::from_bytes(path)));
    for path in [
        &b"/img/a.jpg"[..],
        b"/IMG/A.Jpg",
        "/äpfeL".as_bytes(),
        b"/bX",
    ] {
        assert!(matches(path), "{}", path.escape_ascii());
    }
    assert!(!matches(b"/dx") && !matches(b"/im/a.jpg"));
    let error = List::parse(&["A["], true).unwrap_err();
    assert_eq!(error.subject().to_string(), "A[", "as it was given");
    let bytes = OsStr::from_bytes(b"A\xffB");
    let list = List::parse(&[bytes], true).unwrap();
    assert!(list.matches(Path::new(OsStr::from_bytes(b"/a\xffb"))));
    assert!(!list.matches(Path::new(OsStr::from_bytes(b"/a\xfeb"))));
}

#[test]
fn names_that_are_not_utf8_are_bytes() {
    let list = List::parse(&[OsStr::from_bytes(b"\xe4*.t?t")], false).unwrap();
    let matches = |name: &[u8]| list.reach(Path::new(OsStr::from_bytes(name))).matches();
    assert!(matches(b"/\xe4\xff.txt") && matches(b"/\xe4.t\xfft"));
    assert!(!matches(b"/\xe5.txt"));
}

#[test]
fn many_patterns_are_as_good_as_one() {
    let many: Vec<String> = (0..20_000)
        .flat_map(|n| {
            [
                format!("a{n}*b.c"),
                format!("/x/literal{n}"),
                format!("*[k]{n}?z"),
            ]
        })
        .collect();
    let list = List::parse(&many, false).unwrap();
    for (path, expected) in [
        ("/q/a0-b.c", true),
        ("/q/a19999-b.c", true),
        ("/q/a20000b.c", true),
        ("/q/b20000b.c", false),
        ("/x/literal777/y", true),
        ("/x/literal20000", false),
        ("/x/y/literal1", false),
        ("/k19999äz", true),
        ("/k1z", false),
    ] {
        assert_eq!(list.matches(Path::new(path)), expected, "{path}");
    }
    let longest = "*ä?".repeat(PATTERN_BYTES_MAX / 4);
    assert!(matches(
        &longest,
        &format!("/{}", "äx".repeat(PATTERN_BYTES_MAX / 4))
    ));
}

#[test]
fn a_list_without_patterns_is_empty() {
    assert!(list(&[]).is_empty() && list(&["", "!a"]).is_empty());
    assert!(!list(&["a"]).is_empty() && !list(&["/"]).is_empty());
}

/// The same, read plainly: each `**` is tried at every length, each pattern at every beginning.
mod plain {
    /// One component against one name, character by character.
    fn fits(pattern: &[u8], name: &[u8]) -> bool {
        let Some((&first, rest)) = pattern.split_first() else {
            return name.is_empty();
        };
        let len = |name: &[u8]| {
            let chunk = name.utf8_chunks().next()?;
            let first = chunk.valid().chars().next();
            Some((first.unwrap_or('\u{fffd}'), first.map_or(1, char::len_utf8)))
        };
        match first {
            b'*' => (0..=name.len()).any(|skip| fits(rest, &name[skip..])),
            b'?' => len(name).is_some_and(|(_, len)| fits(rest, &name[len..])),
            b'[' => {
                let end = rest.iter().position(|byte| *byte == b']').unwrap();
                let (members, rest) = (&rest[..end], &rest[end + 1..]);
                let text = str::from_utf8(members).unwrap();
                let inside = |found: char| match text.strip_prefix('^') {
                    Some(others) => !others.contains(found),
                    None => text.contains(found),
                };
                len(name).is_some_and(|(found, len)| inside(found) && fits(rest, &name[len..]))
            }
            b'\\' => name.first() == rest.first() && fits(&rest[1..], &name[1..]),
            byte => name.first() == Some(&byte) && fits(rest, &name[1..]),
        }
    }

    fn begins(pattern: &[&[u8]], names: &[&[u8]]) -> bool {
        match pattern.split_first() {
            None => true,
            Some((&b"**", rest)) => (0..=names.len()).any(|skip| begins(rest, &names[skip..])),
            Some((first, rest)) => match names.split_first() {
                Some((name, names)) => fits(first, name) && begins(rest, names),
                None => false,
            },
        }
    }

    fn one(pattern: &[u8], names: &[&[u8]]) -> bool {
        let (anchored, pattern) = match pattern.strip_prefix(b"/") {
            Some(pattern) => (true, pattern),
            None => (false, pattern),
        };
        let parts: Vec<_> = pattern.split(|byte| *byte == b'/').collect();
        // Of nothing but `**`, one name at least, unless it begins at the root.
        let deep_only = parts.iter().all(|part| *part == b"**");
        match (anchored, deep_only) {
            (true, _) => begins(&parts, names),
            (false, true) => !names.is_empty(),
            (false, false) => (0..names.len()).any(|from| begins(&parts, &names[from..])),
        }
    }

    /// Whether the last pattern that matches is one without `!`.
    pub fn matches(patterns: &[Vec<u8>], names: &[&[u8]]) -> bool {
        let mut matched = false;
        for pattern in patterns {
            match pattern.strip_prefix(b"!") {
                Some(pattern) => matched &= !one(pattern, names),
                None => matched |= one(pattern, names),
            }
        }
        matched
    }
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let pieces = select(vec![&b"a"[..], b"b", b".", b"*", "ä".as_bytes(), b"\xff"]);
    vec(pieces, 1..4).prop_map(|pieces| pieces.concat())
}

fn component() -> impl Strategy<Value = Vec<u8>> {
    let pieces = select(vec![
        &b"a"[..],
        b"b",
        b"ab",
        b".b",
        b"*",
        b"?",
        b"[ab]",
        b"[^a]",
        "[ä.]".as_bytes(),
        "ä".as_bytes(),
        b"\\*",
        b"\xff",
    ]);
    let glob = vec(pieces, 1..4).prop_map(|pieces| pieces.concat());
    prop_oneof![4 => glob, 1 => Just(b"**".to_vec())]
}

fn pattern() -> impl Strategy<Value = Vec<u8>> {
    let prefix = select(vec![&b""[..], b"", b"/", b"!", b"!/"]);
    (prefix, vec(component(), 1..4)).prop_filter_map("`..` leads up", |(prefix, parts)| {
        let plain = parts.iter().all(|part| !matches!(&part[..], b"." | b".."));
        plain.then(|| [prefix, &parts.join(&b'/')].concat())
    })
}

fn slices(names: &[Vec<u8>]) -> Vec<&[u8]> {
    names.iter().map(Vec::as_slice).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// A list says of every path what a plain reading says, and what it rules out below never comes.
    #[test]
    fn a_list_means_what_it_says(
        patterns in vec(pattern(), 1..5),
        names in vec(name(), 1..5),
    ) {
        let given: Vec<&OsStr> = patterns.iter().map(|p| OsStr::from_bytes(p)).collect();
        let list = List::parse(&given, false).unwrap();
        let names = slices(&names);
        let mut reached = vec![list.root()];
        for name in &names {
            let last = reached.last().unwrap();
            reached.push(list.enter(last, name));
        }
        for (depth, reached) in reached.iter().enumerate() {
            prop_assert_eq!(reached.matches(), plain::matches(&patterns, &names[..depth]));
            for more in depth + 1..=names.len() {
                let matched = plain::matches(&patterns, &names[..more]);
                prop_assert!(reached.below_may_match() || !matched, "below {depth}, at {more}");
                prop_assert!(!reached.all_below_match() || matched, "below {depth}, at {more}");
            }
        }
    }

    /// Whatever is given as a pattern, it is taken or refused.
    #[test]
    fn nothing_panics(text in vec(any::<u8>(), 0..40), name in vec(any::<u8>(), 0..40)) {
        let parsed = List::parse(&[OsStr::from_bytes(&text)], true);
        prop_assert_eq!(parsed.is_ok(), check(OsStr::from_bytes(&text)).is_ok());
        if let Ok(list) = parsed {
            let _ = list.matches(Path::new(OsStr::from_bytes(&name)));
        }
    }
}
