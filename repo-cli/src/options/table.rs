//! Which extended options there are.

/// An option of a place that we know, and what it does.
pub struct Known {
    /// Its name.
    pub key: &'static str,
    /// What the service calls it.
    pub of_service: &'static str,
    /// What it takes.
    pub values: Values,
    /// What it does.
    pub help: &'static str,
}

/// What an option takes.
#[derive(Clone, Copy)]
pub enum Values {
    /// Any text.
    Any,
    /// Any text, which must come from a file.
    Secret,
    /// A whole number from 1 on.
    Number,
    /// One of these words, and what each means to the service; one that means nothing to it leaves the option away.
    Of(&'static [(&'static str, &'static str)]),
}

use Values::{Any, Number, Of, Secret};

const fn known(
    key: &'static str,
    of_service: &'static str,
    values: Values,
    help: &'static str,
) -> Known {
    Known {
        key,
        of_service,
        values,
        help,
    }
}

const SWITCH: Values = Of(&[("true", "true"), ("false", "false")]);
const AT_ONCE: &str = "how many operations at once [default 5]";

/// All options. Those of `opendal:` are whatever the service knows.
pub const KNOWN: &[Known] = &[
    known(
        "local.connections",
        "connections",
        Number,
        "accepted without effect: a local directory takes as many operations at once as there are",
    ),
    known(
        "s3.region",
        "region",
        Any,
        "the region of the bucket [$AWS_REGION, default us-east-1]",
    ),
    known(
        "s3.profile",
        "profile",
        Any,
        "the profile in ~/.aws to take credentials from [$AWS_PROFILE]",
    ),
    known(
        "s3.access-key-id",
        "access_key_id",
        Any,
        "the name of the access key [$AWS_ACCESS_KEY_ID]",
    ),
    known(
        "s3.secret-access-key",
        "secret_access_key",
        Secret,
        "the access key, @FILE [$AWS_SECRET_ACCESS_KEY]",
    ),
    known(
        "s3.session-token",
        "session_token",
        Secret,
        "the token of a temporary access key, @FILE [$AWS_SESSION_TOKEN]",
    ),
    known("s3.role-arn", "role_arn", Any, "the role to take on"),
    known(
        "s3.external-id",
        "external_id",
        Any,
        "what whoever lends the role asks for",
    ),
    known(
        "s3.bucket-lookup",
        "enable_virtual_host_style",
        Of(&[("auto", ""), ("dns", "true"), ("path", "false")]),
        "where the bucket stands in requests: auto, dns (in the host's name) or path",
    ),
    known(
        "s3.storage-class",
        "default_storage_class",
        Any,
        "the storage class of new objects",
    ),
    known(
        "s3.list-objects-v1",
        "disable_list_objects_v2",
        SWITCH,
        "true: list as old servers do",
    ),
    known(
        "s3.unsafe-anonymous-auth",
        "skip_signature",
        SWITCH,
        "true: ask without credentials",
    ),
    known("s3.connections", "connections", Number, AT_ONCE),
    known(
        "gs.service-account-key",
        "credential_path",
        Any,
        "the file with the service account's key [$GOOGLE_APPLICATION_CREDENTIALS]",
    ),
    known(
        "gs.token",
        "token",
        Secret,
        "an access token, @FILE [$GOOGLE_ACCESS_TOKEN]",
    ),
    known("gs.endpoint", "endpoint", Any, "the URL of the service"),
    known(
        "gs.storage-class",
        "default_storage_class",
        Any,
        "the storage class of new objects",
    ),
    known(
        "gs.unsafe-anonymous-auth",
        "skip_signature",
        SWITCH,
        "true: ask without credentials",
    ),
    known("gs.connections", "connections", Number, AT_ONCE),
    known(
        "azure.account-name",
        "account_name",
        Any,
        "the storage account [$AZURE_ACCOUNT_NAME]",
    ),
    known(
        "azure.account-key",
        "account_key",
        Secret,
        "its key, @FILE [$AZURE_ACCOUNT_KEY]",
    ),
    known(
        "azure.sas-token",
        "sas_token",
        Secret,
        "a shared access signature, @FILE [$AZURE_ACCOUNT_SAS]",
    ),
    known(
        "azure.endpoint",
        "endpoint",
        Any,
        "the URL of the service [default: of the account]",
    ),
    known("azure.connections", "connections", Number, AT_ONCE),
    known(
        "b2.region",
        "region",
        Any,
        "the region in the name of the bucket's S3 endpoint, such as us-west-004 [$B2_REGION]",
    ),
    known(
        "b2.key-id",
        "access_key_id",
        Any,
        "the ID of the application key [$B2_ACCOUNT_ID]",
    ),
    known(
        "b2.application-key",
        "secret_access_key",
        Secret,
        "the application key, @FILE [$B2_ACCOUNT_KEY]",
    ),
    known("b2.connections", "connections", Number, AT_ONCE),
    known(
        "swift.endpoint",
        "endpoint",
        Any,
        "the URL of the storage account [$OS_STORAGE_URL]",
    ),
    known(
        "swift.token",
        "token",
        Secret,
        "a token, @FILE [$OS_AUTH_TOKEN]",
    ),
    known("swift.connections", "connections", Number, AT_ONCE),
    known(
        "sftp.key",
        "key",
        Any,
        "the file with the private key [default: as ssh is set up]",
    ),
    known(
        "sftp.known-hosts",
        "known_hosts_strategy",
        Of(&[("strict", "strict"), ("add", "add"), ("accept", "accept")]),
        "what to do about an unknown host: strict (refuse), add (trust and remember it) or accept (trust anything)",
    ),
    known("sftp.connections", "connections", Number, AT_ONCE),
    known(
        "webdav.username",
        "username",
        Any,
        "the user [$LARDER_WEBDAV_USERNAME]",
    ),
    known(
        "webdav.password",
        "password",
        Secret,
        "the password, @FILE [$LARDER_WEBDAV_PASSWORD]",
    ),
    known("webdav.token", "token", Secret, "a bearer token, @FILE"),
    known("webdav.connections", "connections", Number, AT_ONCE),
    known(
        "opendal.connections",
        "connections",
        Number,
        "how many operations at once; other options of opendal: are those of the service",
    ),
];
