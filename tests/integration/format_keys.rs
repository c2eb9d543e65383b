//! Every key derivation, name and signature; key slots and what is sealed to public keys.

use crate::format_vectors::{
    Named, REPOSITORY, assert_exact, envelopes, envelopes_of, named, read, ring, ring_of, signer,
};
use repo_core::crypto::{
    BlobType, Cipher, KdfParams, KeyKind, Keyring, PasswordKeys, Role, SealSecret, Secret, Signer,
    commitment, contexts, derive, expand, verify,
};
use repo_core::error::ErrorKind;
use repo_core::format::codec::{self, Ext};
use repo_core::format::key_slot::{self, Credential, Holder, Label};
use repo_core::id::from_hex;
use repo_core::time::Timestamp;

const CHEAP: KdfParams = KdfParams {
    m_kib: 64,
    t: 2,
    p: 2,
};

fn password() -> Credential {
    Credential::password("larder")
}

fn key_file() -> Credential {
    Credential::KeyFile(Secret::new([4; 32]))
}

fn label() -> Label {
    Label {
        user: "user".into(),
        host: "host".into(),
        created: Timestamp::new(1, 2),
        ..Label::default()
    }
}

pub fn exact() -> Named {
    let mut made = role_keys();
    let ring = ring();
    let blobs: [(&str, &[u8]); 2] = [("empty", b""), ("abc", b"abc")];
    for (domain, kind) in [0, 7]
        .into_iter()
        .flat_map(|d| BlobType::ALL.map(|kind| (d, kind)))
    {
        for (name, plaintext) in blobs {
            let id = ring.blob_hasher(domain, kind).unwrap().id(plaintext);
            made.push(named(
                &format!("blob-id-{kind:?}-domain-{domain}-{name}"),
                id.0,
            ));
        }
    }
    let salt = std::array::from_fn(|i| i as u8);
    let both = |keys: &PasswordKeys| [&keys.wrap.expose()[..], &keys.commitment].concat();
    for (name, params) in [
        ("cheap", CHEAP),
        (
            "cheaper",
            KdfParams {
                m_kib: 8,
                t: 1,
                p: 1,
            },
        ),
    ] {
        let keys = PasswordKeys::derive(b"larder", &salt, &params).unwrap();
        made.push(named(&format!("password-{name}"), both(&keys)));
    }
    let keys = PasswordKeys::from_key_file(&Secret::new([4; 32]), &salt);
    made.push(named("key-file", both(&keys)));
    made.push(named(
        "pack-key-commitment",
        commitment(&Secret::new([5; 32])),
    ));
    let mut padding = [0; 80];
    expand(contexts::PADDING, &[&salt], &mut padding);
    made.push(named("padding", padding));
    made.push(named("signer-public", signer().public().0));
    made.push(named("signature-empty", signer().sign(b"")));
    made.push(named("signature-abc", signer().sign(b"abc")));
    made.push(named("admin-public", ring.admin().unwrap().public().0));
    made.push(named(
        "seal-public",
        SealSecret::new(Secret::new([6; 32])).public().0,
    ));
    made
}

/// All keys of epoch 0, and some of epoch 3, which depend on it.
fn role_keys() -> Named {
    let key = |ring: &Keyring, kind: KeyKind, domain, epoch| {
        let key = match domain {
            0 => ring.epoch_key(kind, epoch).unwrap(),
            _ => ring.domain_key(kind, domain).unwrap(),
        };
        named(
            &format!("{kind:?}-domain-{domain}-epoch-{epoch}"),
            key.expose().to_vec(),
        )
    };
    let ring = ring();
    let mut made: Named = KeyKind::ALL
        .iter()
        .map(|kind| key(&ring, *kind, 0, 0))
        .collect();
    for kind in [
        KeyKind::IdData,
        KeyKind::IdTree,
        KeyKind::Chunker,
        KeyKind::Border,
    ] {
        made.push(key(&ring, kind, 7, 0));
    }
    let third = Keyring::from_root(&Secret::new([1; 32]), 3, &[0]);
    for kind in [KeyKind::Log, KeyKind::MetaPublic] {
        made.push(key(&third, kind, 0, 3));
    }
    made
}

pub fn sealed() -> Named {
    let full = envelopes();
    let slot = |role, credential: &Credential| {
        key_slot::create(&full, role, &[0, 7], credential, CHEAP, &label())
            .unwrap()
            .bytes
    };
    let mut made: Named = Role::ALL
        .iter()
        .map(|role| {
            named(
                &format!("slot-{}-password", role.name()),
                slot(*role, &password()),
            )
        })
        .collect();
    made.push(named("slot-full-key-file", slot(Role::Full, &key_file())));
    let secret = SealSecret::new(Secret::new([6; 32]));
    let psk = Secret::new([7; 32]);
    let base = secret
        .public()
        .seal(None, b"info", b"aad", b"plaintext")
        .unwrap();
    let with_psk = secret
        .public()
        .seal(Some(&psk), b"info", b"aad", b"plaintext")
        .unwrap();
    made.push(named("hpke-base", base));
    made.push(named("hpke-psk", with_psk));
    made
}

#[test]
fn derivations_are_as_ever() {
    assert_exact("keys.txt", &exact());
}

/// The text of the document, spelled out with nothing but BLAKE3.
#[test]
fn derivations_are_as_described() {
    let purpose = [&[7u8][..], &0u32.to_le_bytes(), &0u32.to_le_bytes()].concat();
    let log = derive("larder v1 role key", &[&[1; 32], &purpose]);
    assert_eq!(
        ring().epoch_key(KeyKind::Log, 0).unwrap().expose(),
        log.expose()
    );
    let purpose = [&[2u8][..], &7u32.to_le_bytes(), &0u32.to_le_bytes()].concat();
    let id = derive("larder v1 role key", &[&[1; 32], &purpose]);
    assert_eq!(
        ring().domain_key(KeyKind::IdData, 7).unwrap().expose(),
        id.expose()
    );
}

#[test]
fn signatures_are_those_of_rfc_8032() {
    // Section 7.1, test 2.
    let hex = |text: &str| -> Vec<u8> { from_hex(text).unwrap() };
    let seed = hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    let signer = Signer::from_seed(&Secret::new(seed.try_into().unwrap()));
    let public = hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    assert_eq!(signer.public().0.to_vec(), public);
    let signature = signer.sign(&[0x72]);
    let expected = hex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
         085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    );
    assert_eq!(signature.to_vec(), expected);
    verify(&signer.public(), &[0x72], &signature).unwrap();
}

fn open(stored: &[u8], credential: &Credential) -> repo_core::Result<Holder> {
    key_slot::open(
        &key_slot::parse(stored)?,
        REPOSITORY,
        credential,
        &KdfParams::MAX,
    )
}

#[test]
fn stored_slots_open() {
    let stored = read("slots.txt");
    assert_eq!(stored.len(), sealed().len());
    let slots = Role::ALL.map(|role| (role, password(), format!("slot-{}-password", role.name())));
    let file = [(Role::Full, key_file(), "slot-full-key-file".to_owned())];
    for (role, credential, name) in slots.into_iter().chain(file) {
        let holder = open(&stored[&name], &credential).unwrap();
        assert_eq!(
            (holder.role, &holder.domains[..]),
            (role, &[0, 7][..]),
            "{name}"
        );
        assert_eq!(holder.admin, ring().admin().unwrap().public(), "{name}");
        let keys = |ring: &Keyring| codec::encode(&ring.bundle(role, &[0, 7]));
        assert_eq!(keys(&holder.ring), keys(&ring_of(role)), "{name}");
        let slot = key_slot::parse(&stored[&name]).unwrap();
        let label = key_slot::label(&envelopes_of(Role::Writer), &slot).unwrap();
        assert_eq!(
            label,
            Label {
                writer: holder.signer.public(),
                ..self::label()
            },
            "{name}"
        );
        let wrong = Credential::password("Larder");
        assert_eq!(
            open(&stored[&name], &wrong).err().unwrap().kind(),
            ErrorKind::WrongPassword
        );
    }
}

/// The steps of the document, with nothing but the primitives they name.
#[test]
fn a_slot_opens_as_described() {
    let json = &read("slots.txt")["slot-writer-password"];
    let slot: serde_json::Value = serde_json::from_slice(json).unwrap();
    let field = |name: &str| from_hex(slot[name].as_str().unwrap()).unwrap();
    let cost = |name: &str| u32::try_from(slot["kdf"][name].as_u64().unwrap()).unwrap();
    let (m_kib, t, p) = (cost("m_kib"), cost("t"), cost("p"));
    let salt: [u8; 32] = field("salt").try_into().unwrap();
    let keys = PasswordKeys::derive(b"larder", &salt, &KdfParams { m_kib, t, p }).unwrap();
    assert_eq!(field("commitment"), keys.commitment);
    let seal_public = field("seal_public");
    let numbers = [m_kib, t, p].map(u32::to_le_bytes).concat();
    let parts: [&[u8]; 5] = [&[2; 32], &[2, 0], &numbers, &salt, &seal_public];
    let aad = parts.concat();
    assert_eq!(aad.len(), 110);
    let mut secret = field("secret");
    Cipher::new(&keys.wrap).open(0, &aad, &mut secret).unwrap();
    let secret: ([u8; 32], [u8; 32], [u8; 32], Vec<Ext>) = codec::decode(&secret).unwrap();
    assert_eq!(secret.2, ring().admin().unwrap().public().0);

    let seal = SealSecret::new(Secret::new(secret.0));
    assert_eq!(seal.public().0.to_vec(), seal_public);
    let info = [&b"larder v1 bundle"[..], &[2; 32]].concat();
    let opened = seal
        .open(None, &info, &seal_public, &field("bundle"))
        .unwrap();
    let (bundle, signature) = opened.split_last_chunk::<64>().unwrap();
    let signed = derive(
        "larder v1 bundle signature",
        &[&[2; 32], &seal_public, bundle],
    );
    verify(
        &ring().admin().unwrap().public(),
        signed.expose(),
        signature,
    )
    .unwrap();
    type Keys = Vec<(u8, u32, u32, [u8; 32])>;
    let bundle: (u8, Vec<u32>, Keys, Vec<Ext>) = codec::decode(bundle).unwrap();
    assert_eq!((bundle.0, bundle.1), (Role::Writer as u8, vec![0, 7]));
    let kinds: Vec<(u8, u32)> = bundle.2.iter().map(|key| (key.0, key.1)).collect();
    let mut expected: Vec<(u8, u32)> = Vec::new();
    for kind in [2, 3, 4, 5] {
        expected.extend([(kind, 0), (kind, 7)]);
    }
    expected.extend([6, 7, 8, 9, 14, 15].map(|kind| (kind, 0)));
    assert_eq!(kinds, expected, "the table of keys");
}

#[test]
fn stored_hpke_opens() {
    let stored = read("slots.txt");
    let secret = SealSecret::new(Secret::new([6; 32]));
    let psk = Secret::new([7; 32]);
    let open = |psk, name: &str| secret.open(psk, b"info", b"aad", &stored[name]);
    assert_eq!(open(None, "hpke-base").unwrap(), b"plaintext");
    assert_eq!(open(Some(&psk), "hpke-psk").unwrap(), b"plaintext");
    assert!(open(None, "hpke-psk").is_err());
    assert!(open(Some(&psk), "hpke-base").is_err());
}
