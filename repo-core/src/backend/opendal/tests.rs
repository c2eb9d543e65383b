use super::*;
use crate::backend::{Class, conformance};

fn memory() -> OpenDalBackend {
    let address = Address::parse("opendal:memory").unwrap().unwrap();
    OpenDalBackend::new(&address, OpenDalOptions::default()).unwrap()
}

#[test]
fn memory_conforms() {
    assert_eq!(conformance::run(|| Box::new(memory())), Class::A);
}

#[test]
fn a_service_that_nobody_knows_and_options_that_are_missing() {
    let new = |text: &str| {
        OpenDalBackend::new(
            &Address::parse(text).unwrap().unwrap(),
            OpenDalOptions::default(),
        )
        .err()
        .unwrap()
    };
    assert_eq!(new("opendal:nosuch").kind(), ErrorKind::Unsupported);
    assert_eq!(new("opendal:s3").kind(), ErrorKind::InvalidInput);
}
