//! Paths in addresses: names of any bytes, percent-encoded.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

/// What of a name is encoded: all but what no address and no HTML gives a meaning to.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The names on the way to something; `None` if one is none that a directory could hold.
pub fn names(path: &str) -> Option<Vec<Vec<u8>>> {
    let parts = path.split('/').filter(|part| !part.is_empty());
    let names = parts.map(|part| -> Vec<u8> { percent_decode_str(part).collect() });
    let names: Vec<Vec<u8>> = names.collect();
    let is_name = |name: &Vec<u8>| {
        !name.contains(&b'/') && !name.contains(&0) && name != b"." && name != b".."
    };
    names.iter().all(is_name).then_some(names)
}

/// A name, or any bytes, for an address.
pub fn encoded(name: &[u8]) -> String {
    percent_encode(name, ENCODED).to_string()
}

/// The address of what has these names on the way to it; that of a directory ends with a slash.
pub fn href(names: &[Vec<u8>], is_dir: bool) -> String {
    let mut href = String::from("/");
    for (number, name) in names.iter().enumerate() {
        href.push_str(&encoded(name));
        if is_dir || number + 1 < names.len() {
            href.push('/');
        }
    }
    href
}

/// The way to what has these names, to be read by people.
pub fn shown(names: &[Vec<u8>]) -> String {
    let names = names.iter().map(|name| String::from_utf8_lossy(name));
    names.fold(String::new(), |way, name| way + "/" + &name)
}

/// The value of a field of a query, decoded; of the first if there are several.
pub fn field(query: Option<&str>, name: &str) -> Option<Vec<u8>> {
    let mut fields = query?
        .split('&')
        .map(|field| field.split_once('=').unwrap_or((field, "")));
    let (_, value) = fields.find(|(own, _)| *own == name)?;
    Some(percent_decode_str(value).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_bytes_go_into_an_address_and_back() {
        let all: Vec<Vec<u8>> = vec![
            b"a b".to_vec(),
            (1..=255).filter(|byte| *byte != b'/').collect(),
        ];
        let href = href(&all, true);
        assert!(href.is_ascii() && !href.contains(['"', '<', '?', '#', ' ']));
        assert_eq!(names(&href), Some(all));
        assert_eq!(super::href(&[], true), "/");
        assert_eq!(super::href(&[b"a".to_vec()], false), "/a");
    }

    #[test]
    fn what_no_directory_holds_is_no_name() {
        for path in ["/a/../b", "/%2e%2e/b", "/a%2fb", "/a%00", "/."] {
            assert_eq!(names(path), None, "{path}");
        }
        assert_eq!(names("//a///b/"), Some(vec![b"a".to_vec(), b"b".to_vec()]));
    }

    #[test]
    fn fields_are_found_by_name() {
        let query = Some("view&from=12&against=a%20b&from=13");
        assert_eq!(field(query, "view"), Some(Vec::new()));
        assert_eq!(field(query, "from").as_deref(), Some(&b"12"[..]));
        assert_eq!(field(query, "against").as_deref(), Some(&b"a b"[..]));
        assert_eq!((field(query, "a"), field(None, "view")), (None, None));
    }
}
