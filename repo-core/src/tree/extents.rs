//! Where in a file its data lies.

use crate::error::{Error, Result, Subject};
use crate::format::tree::FileContent;

/// How many bytes the chunks of a file hold together: its size without its holes. `Damaged` if no file can have such holes.
pub fn data_len(file: &FileContent) -> Result<u64> {
    match &file.extents {
        Some(extents) if !is_possible(extents, file.size) => {
            Err(Error::damaged(Subject::None).detail("holes that no file can have"))
        }
        Some(extents) => Ok(extents.iter().map(|(_, len)| len).sum()),
        None => Ok(file.size),
    }
}

/// What is said of a file whose chunks are not as long together as [`data_len`] says.
pub fn does_not_add_up() -> Error {
    Error::damaged(Subject::None).detail("chunks do not add up to the file's size")
}

/// Whether the places of data are such as a file of this size can have: in order, without overlap, none beyond the end.
fn is_possible(extents: &[(u64, u64)], size: u64) -> bool {
    let ends = extents.iter().map(|(offset, len)| offset.checked_add(*len));
    let Some(ends) = ends.collect::<Option<Vec<u64>>>() else {
        return false;
    };
    let starts = extents.iter().skip(1).map(|(offset, _)| *offset);
    let ordered = ends.iter().zip(starts).all(|(end, start)| *end <= start);
    ordered && ends.last().is_none_or(|end| *end <= size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_lie_in_their_file_one_after_the_other() {
        for possible in [&[][..], &[(0, 10)], &[(0, 3), (3, 2), (9, 1)], &[(10, 0)]] {
            assert!(is_possible(possible, 10), "{possible:?}");
        }
        for wrong in [
            &[(0, 11)][..],
            &[(5, 1), (0, 1)],
            &[(0, 5), (4, 1)],
            &[(u64::MAX, 1)],
        ] {
            assert!(!is_possible(wrong, 10), "{wrong:?}");
        }
    }
}
