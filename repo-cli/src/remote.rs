//! Places on other machines: what the environment and options say of them, and the way there.

#[cfg(not(feature = "opendal"))]
mod no_way;
#[cfg(feature = "opendal")]
mod way;

use crate::env::Env;
use crate::exit::Failure;
use crate::options::Given;
use repo_core::backend::Address;

#[cfg(not(feature = "opendal"))]
pub use no_way::{Reached, reach};
#[cfg(feature = "opendal")]
pub use way::{Reached, reach};

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
