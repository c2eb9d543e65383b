//! Access control lists as text, which is how archives hold them.
//!
//! The kernel keeps one as an extended attribute: a version, then entries of 8 bytes, `{tag u16, permissions u16, id u32}`, all
//! little-endian (`linux/posix_acl_xattr.h`). As text an entry is `tag:id:rwx` (`acl(5)`); ids stay numbers, as names may mean somebody
//! else where the archive is unpacked.

/// The version of the kernel's form.
const VERSION: u32 = 2;

/// Tags of the kernel's, and their words.
const TAGS: [(u16, &str); 6] = [
    (0x01, "user"),
    (0x02, "user"),
    (0x04, "group"),
    (0x08, "group"),
    (0x10, "mask"),
    (0x20, "other"),
];

/// Tags that have an id.
const WITH_ID: [u16; 2] = [0x02, 0x08];

/// A list as text, entries separated by commas; `None` of what is no such list.
pub fn to_text(value: &[u8]) -> Option<String> {
    let (version, entries) = value.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*version) != VERSION || entries.len() % 8 != 0 {
        return None;
    }
    let mut words = Vec::new();
    for entry in entries.chunks_exact(8) {
        let tag = u16::from_le_bytes([entry[0], entry[1]]);
        let bits = u16::from_le_bytes([entry[2], entry[3]]);
        let id = u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]);
        let (_, word) = TAGS.iter().find(|(known, _)| *known == tag)?;
        let id = match WITH_ID.contains(&tag) {
            true => id.to_string(),
            false => String::new(),
        };
        let letter = |bit: u16, letter| if bits & bit != 0 { letter } else { '-' };
        words.push(format!(
            "{word}:{id}:{}{}{}",
            letter(4, 'r'),
            letter(2, 'w'),
            letter(1, 'x')
        ));
    }
    Some(words.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_what_getfacl_shows() {
        let entry = |tag: u16, bits: u16, id: u32| {
            let (tag, bits, id) = (tag.to_le_bytes(), bits.to_le_bytes(), id.to_le_bytes());
            [&tag[..], &bits, &id].concat()
        };
        let none = u32::MAX;
        let list = [
            2u32.to_le_bytes().to_vec(),
            entry(0x01, 6, none),
            entry(0x02, 4, 1000),
            entry(0x04, 4, none),
            entry(0x08, 7, 50),
            entry(0x10, 7, none),
            entry(0x20, 0, none),
        ]
        .concat();
        assert_eq!(
            to_text(&list).unwrap(),
            "user::rw-,user:1000:r--,group::r--,group:50:rwx,mask::rwx,other::---"
        );
        assert_eq!(to_text(&list[..4]).unwrap(), "");
        for wrong in [
            &list[..3],
            &list[..9],
            &[1, 0, 0, 0],
            &[&list[..4], &entry(3, 0, 0)].concat(),
        ] {
            assert_eq!(to_text(wrong), None);
        }
    }
}
