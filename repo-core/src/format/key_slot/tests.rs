use super::*;

const CHEAP: KdfParams = KdfParams {
    m_kib: 64,
    t: 1,
    p: 1,
};

fn full() -> Envelopes {
    let ring = Keyring::from_root(&Secret::new([1; 32]), 0, &[0]);
    Envelopes::new(ring, RepositoryId([2; 32]))
}

fn make(credential: &Credential, role: Role) -> NewSlot {
    let label = Label {
        user: "u".into(),
        host: "h".into(),
        ..Label::default()
    };
    create(&full(), role, &[0], credential, CHEAP, &label).unwrap()
}

fn open_with(bytes: &[u8], credential: &Credential) -> Result<Holder> {
    open(
        &parse(bytes)?,
        RepositoryId([2; 32]),
        credential,
        &KdfParams::MAX,
    )
}

#[test]
fn password_and_key_file_open_their_own_slot() {
    let password = Credential::password("secret");
    let file = Credential::KeyFile(Secret::new([7; 32]));
    for (right, wrong) in [(&password, &file), (&file, &password)] {
        let slot = make(right, Role::Full);
        let holder = open_with(&slot.bytes, right).unwrap();
        assert_eq!(holder.signer.public(), slot.holder.signer.public());
        assert_eq!(
            open_with(&slot.bytes, wrong).err().unwrap().kind(),
            ErrorKind::WrongPassword
        );
        let label = label(&full(), &parse(&slot.bytes).unwrap()).unwrap();
        assert_eq!(
            (label.user.as_str(), label.writer),
            ("u", holder.signer.public())
        );
    }
    let slot = make(&password, Role::Full);
    let error = open_with(&slot.bytes, &Credential::password("Secret"))
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::WrongPassword);
}

#[test]
fn a_bundle_of_somebody_else_is_refused() {
    // Who can write to the place seals a bundle of its own making to the public key that stands in clear.
    let password = Credential::password("secret");
    let slot = make(&password, Role::Full);
    let mut forged = parse(&slot.bytes).unwrap();
    let evil = Envelopes::new(
        Keyring::from_root(&Secret::new([66; 32]), 0, &[0]),
        RepositoryId([2; 32]),
    );
    let bundle = codec::encode(&Bundle {
        role: Role::Full,
        domains: vec![0],
        keys: evil.ring().bundle(Role::Full, &[0]),
        ext: vec![],
    });
    let seal = slot.holder.seal;
    let message = bundle_message(&evil.repository(), &seal, &bundle);
    let signature = evil.ring().admin().unwrap().sign(&message);
    let plain = [&bundle[..], &signature].concat();
    let info = bundle_info(&evil.repository());
    forged.bundle = to_hex(&seal.seal(None, &info, &seal.0, &plain).unwrap());
    let error = open_with(&to_bytes(&forged), &password).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Damaged);
}

#[test]
fn a_changed_slot_does_not_open() {
    let password = Credential::password("secret");
    let slot = parse(&make(&password, Role::Writer).bytes).unwrap();
    let mut role = slot.clone();
    role.role = "full".into();
    let mut cost = slot.clone();
    cost.kdf = Some(KdfParams { t: 2, ..CHEAP });
    let mut public = slot.clone();
    public.seal_public = to_hex(&[9; 32]);
    for changed in [role, cost, public] {
        assert!(open_with(&to_bytes(&changed), &password).is_err());
    }
    let mut greedy = slot;
    greedy.kdf = Some(KdfParams {
        m_kib: 1 << 30,
        t: 1,
        p: 1,
    });
    let error = open_with(&to_bytes(&greedy), &password).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_password_changes_and_the_writer_stays() {
    let (old, new) = (Credential::password("old"), Credential::password("new"));
    let slot = make(&old, Role::Full);
    let changed = change_credential(&full(), &slot.bytes, &old, &new, CHEAP).unwrap();
    assert!(open_with(&changed, &old).is_err());
    let holder = open_with(&changed, &new).unwrap();
    assert_eq!(holder.signer.public(), slot.holder.signer.public());
}
