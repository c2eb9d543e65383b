//! From an address to something that can be asked.

use super::rate::Rate;
use super::transport::Transport;
use crate::backend::Address;
use crate::error::{Error, ErrorKind, Result, Subject};
use ::opendal::{HttpTransporter, Operator};
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// The runtime of one place: two threads that wait for the network.
pub(super) fn runtime(place: &str) -> Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("opendal")
        .enable_all()
        .build()
        .map_err(|e| Error::io(Subject::Repository(place.to_owned()), e))
}

/// What OpenDAL makes of an address. Asks nobody.
pub(super) fn operator(address: &Address, upload: Option<Arc<Rate>>) -> Result<Operator> {
    ::opendal::init_default_registry();
    let service = address.service();
    let options = completed(address);
    let invalid = |e: ::opendal::Error| match e.kind() {
        ::opendal::ErrorKind::Unsupported => {
            Error::unsupported(Subject::Repository(address.to_string())).detail(format!(
                "this program was built without the service {service}"
            ))
        }
        _ => Error::new(
            ErrorKind::InvalidInput,
            Subject::Repository(address.to_string()),
        )
        .detail(e.message().to_owned()),
    };
    let operator = Operator::via_iter(service, options).map_err(invalid)?;
    let transport = Transport::new(service, upload).map_err(invalid)?;
    let context = operator
        .base_context()
        .with_http_transport(HttpTransporter::new(transport));
    Ok(operator.with_context(context))
}

/// The options of an address, and those that we want otherwise than OpenDAL.
fn completed(address: &Address) -> Vec<(String, String)> {
    let mut address = address.clone();
    if address.service() == "s3" {
        // Without one nobody notices a body that changed on its way.
        address.set_default("checksum_algorithm", "crc32c");
        address.set_default("region", "us-east-1");
        let bucket = address.option("bucket").unwrap_or_default().to_owned();
        let of_amazon = address
            .option("endpoint")
            .is_none_or(|endpoint| endpoint.ends_with(".amazonaws.com"));
        // A certificate of Amazon covers one part before its own name.
        if of_amazon && !bucket.contains('.') {
            address.set_default("enable_virtual_host_style", "true");
        }
    }
    address.options().clone().into_iter().collect()
}
