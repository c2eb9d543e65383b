//! Places on other machines: what the environment and options say of them, and the way there.

use crate::app::App;
use crate::env::Env;
use crate::exit::Failure;
use crate::options::Given;
use repo_core::backend::wrap::{ConnectionLimit, Counting, Retry, RetryOptions};
use repo_core::backend::{Address, Backend, OpenDalBackend, OpenDalOptions};
use std::sync::Arc;

/// A variable that the users of a service know, and the option that it stands for.
const VARIABLES: [(&str, &str, &str); 15] = [
    ("s3", "AWS_REGION", "region"),
    ("s3", "AWS_DEFAULT_REGION", "region"),
    ("gs", "GOOGLE_ACCESS_TOKEN", "token"),
    ("azure", "AZURE_ACCOUNT_NAME", "account_name"),
    ("azure", "AZURE_ACCOUNT_KEY", "account_key"),
    ("azure", "AZURE_ACCOUNT_SAS", "sas_token"),
    ("b2", "B2_REGION", "region"),
    ("b2", "B2_ACCOUNT_ID", "access_key_id"),
    ("b2", "B2_ACCOUNT_KEY", "secret_access_key"),
    ("swift", "OS_STORAGE_URL", "endpoint"),
    ("swift", "OS_AUTH_TOKEN", "token"),
    ("webdav", "LARDER_WEBDAV_USERNAME", "username"),
    ("webdav", "LARDER_WEBDAV_PASSWORD", "password"),
    ("webdav", "RESTIC_REST_USERNAME", "username"),
    ("webdav", "RESTIC_REST_PASSWORD", "password"),
];

/// A place on another machine with all that is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Its address with every option.
    pub address: Address,
    /// How many operations at once, if the user says.
    pub connections: Option<usize>,
}

/// What options and environment add to an address; options go before.
pub fn complete(mut address: Address, options: Vec<Given>, env: &Env) -> Result<Remote, Failure> {
    let mut connections = None;
    for Given { key, value } in options {
        match key.as_str() {
            "connections" => connections = value.parse().ok(),
            _ => address.set(key, value),
        }
    }
    let scheme = address.scheme();
    for (_, variable, key) in VARIABLES.iter().filter(|(of, _, _)| *of == scheme) {
        if let Some(value) = env.get(variable) {
            let text = value.into_string();
            let text = text.map_err(|_| Failure::usage(format!("${variable} is no text")))?;
            address.set_default(*key, text);
        }
    }
    match scheme {
        "azure" => azure(&mut address, env)?,
        "b2" => b2(&mut address)?,
        _ => {}
    }
    Ok(Remote {
        address,
        connections,
    })
}

fn azure(address: &mut Address, env: &Env) -> Result<(), Failure> {
    if address.option("endpoint").is_some() {
        return Ok(());
    }
    let Some(account) = address.option("account_name") else {
        return Err(Failure::usage(
            "no storage account was named\nName it with -o azure.account-name=NAME, or set AZURE_ACCOUNT_NAME.",
        ));
    };
    let suffix = env
        .get("AZURE_ENDPOINT_SUFFIX")
        .and_then(|value| value.into_string().ok());
    let suffix = suffix.unwrap_or_else(|| "core.windows.net".to_owned());
    let endpoint = format!("https://{account}.blob.{suffix}");
    address.set("endpoint", endpoint);
    Ok(())
}

/// B2 is reached over its S3 endpoint, with keys of its own and none of Amazon's.
fn b2(address: &mut Address) -> Result<(), Failure> {
    let Some(region) = address.option("region") else {
        return Err(Failure::usage(
            "the region of the bucket is not known\n\
             Its page at Backblaze shows an endpoint such as s3.us-west-004.backblazeb2.com: give -o b2.region=us-west-004, or set B2_REGION.",
        ));
    };
    let endpoint = format!("https://s3.{region}.backblazeb2.com");
    address.set("endpoint", endpoint);
    address.set("disable_config_load", "true");
    address.set("disable_ec2_metadata", "true");
    Ok(())
}

/// The place itself, and the way there that every command goes: counted, tried again, so many calls at once.
pub struct Reached {
    /// The place without anything around it.
    pub place: Arc<OpenDalBackend>,
    /// The way there.
    pub backend: Arc<dyn Backend>,
}

/// The way to a place. Asks nobody yet.
pub fn reach(app: &App, remote: &Remote) -> Result<Reached, Failure> {
    let bytes = |kib: Option<u64>| kib.filter(|kib| *kib > 0).map(|kib| kib << 10);
    let options = OpenDalOptions {
        upload_bytes_per_second: bytes(app.repository.limit_upload),
        download_bytes_per_second: bytes(app.repository.limit_download),
    };
    let place = Arc::new(OpenDalBackend::new(&remote.address, options)?);
    let limited = match app.repository.connections.or(remote.connections) {
        Some(connections) => ConnectionLimit::with(place.clone(), connections),
        None => ConnectionLimit::new(place.clone()),
    };
    let terminal = app.terminal.clone();
    let shown = remote.address.to_string();
    let retry = Retry::new(Arc::new(limited), RetryOptions::default())
        .interrupted_by(crate::signals::check)
        .notifying(move |error, pause| {
            let error = crate::message::reason(error);
            let seconds = pause.as_secs_f32();
            terminal.warn(&format!("{shown}: {error}; trying again in {seconds:.1} s"));
        });
    let counting = Arc::new(Counting::new(Arc::new(retry)));
    app.requests.borrow_mut().push(Arc::clone(&counting));
    Ok(Reached {
        place,
        backend: counting,
    })
}
