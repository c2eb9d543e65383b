//! The local file system: reading trees for a backup, and putting them in place for a restore.
//!
//! Everything below a root is reached by one name at a time from the open directory that holds it. So a path may be
//! longer than the system's limit, and a symbolic link that somebody puts in our way while we work is never followed.
//! Names are bytes as the kernel gives them. Errors carry the bare name as their subject; a caller that knows the
//! whole path says so with [`crate::Error::about`].
//!
//! Reading starts at a [`Dir`], writing at a [`Target`]. Linux only.

mod apply;
mod meta;
mod name;
mod owner;
mod part;
mod private;
mod read;
mod scan;
mod sparse;
mod target;
#[cfg(test)]
mod tests;
mod write;
mod xattr;

pub use apply::{Applied, Attributes, RefusedXattr, apply_to, surplus_xattrs};
pub use meta::{Kind, Metadata, metadata_of, stat_path};
pub use owner::Owners;
pub use part::{is_begun_by_us, is_part_name, part_names};
pub use private::{NewFile, read_bounded, write_private};
pub use read::{Dir, advise_sequential, read_at};
pub use scan::{Scan, WINDOW};
pub use sparse::{EXTENTS_MAX, Extent, extents};
pub use target::{BEGUN_MODE, Target, TargetDir};
pub use write::{punch_hole, punch_to_end, reserve, set_len, set_mode, write_at};
pub use xattr::{XATTRS_BYTES_MAX, Xattr, xattrs_of};
