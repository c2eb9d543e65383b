//! How large chunks become, and why.

use crate::error::{Error, Result};
use std::path::Path;

/// Extensions of files that are compressed already and are replaced rather than changed, in lower case, sorted.
const MEDIA: &[&str] = &[
    "7z", "aac", "apk", "avi", "avif", "br", "bz2", "cr2", "cr3", "deb", "dmg", "docx", "epub",
    "flac", "flv", "gif", "gz", "heic", "heif", "jar", "jpeg", "jpg", "jxl", "lz4", "lzma", "m4a",
    "m4v", "mkv", "mov", "mp3", "mp4", "mpeg", "mpg", "nef", "odt", "ogg", "opus", "pdf", "png",
    "pptx", "rar", "rpm", "tgz", "txz", "webm", "webp", "whl", "wma", "wmv", "xlsx", "xz", "zip",
    "zst",
];

const KIB: u32 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The smallest, the usual and the largest length of a chunk in bytes, checked when made.
///
/// The mean is about 1.25 times `avg`, because nothing is cut before `min`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sizes {
    min: u32,
    avg: u32,
    max: u32,
}

impl Sizes {
    /// The smallest `min`.
    pub const MIN: u32 = 64;
    /// The largest `max`, 16 MiB: what a reader must be able to hold.
    pub const MAX: u32 = 16 << 20;

    /// Sizes as a source record or a caller names them.
    ///
    /// An invalid argument unless all are even, `avg` is a power of two from 1 KiB to 4 MiB, `min` is from 64 to half
    /// of `avg` and at most 1 MiB, and `max` is from twice `avg` to 16 MiB. The distances keep the fast loop exact.
    pub fn new(min: u32, avg: u32, max: u32) -> Result<Self> {
        let even = min.is_multiple_of(2) && max.is_multiple_of(2);
        let usual = avg.is_power_of_two() && (KIB..=4096 * KIB).contains(&avg);
        let fits = (Self::MIN..=1024 * KIB).contains(&min)
            && min <= avg / 2
            && max / 2 >= avg
            && max <= Self::MAX;
        match even && usual && fits {
            true => Ok(Self { min, avg, max }),
            false => Err(Error::invalid("chunk sizes").detail(format!("{min}, {avg}, {max}"))),
        }
    }

    /// `avg` KiB, a quarter of it as `min` and four times as `max`: the ratios that all measurements used.
    const fn around_kib(avg: u32) -> Self {
        Self {
            min: avg * KIB / 4,
            avg: avg * KIB,
            max: avg * KIB * 4,
        }
    }

    /// No chunk but the last of a source is shorter.
    pub fn min(self) -> u32 {
        self.min
    }

    /// Before this length a cut is half as likely as one in `avg` bytes, behind it twice as likely.
    pub fn avg(self) -> u32 {
        self.avg
    }

    /// No chunk is longer.
    pub fn max(self) -> u32 {
        self.max
    }
}

/// What is known of a source before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// A file that may be changed in places.
    File {
        /// Its length in bytes.
        len: u64,
    },
    /// Standard input, a command, a database: of unknown length.
    Stream,
    /// A file that is compressed already and will be replaced rather than changed.
    Media {
        /// Its length in bytes.
        len: u64,
    },
}

impl SourceKind {
    /// The kind of a file of `len` bytes, media by the last extension of its name in any case.
    pub fn of_file(path: &Path, len: u64) -> Self {
        let extension = path
            .extension()
            .and_then(|e| e.to_str())
            .map(str::to_ascii_lowercase);
        match extension.is_some_and(|e| MEDIA.binary_search(&e.as_str()).is_ok()) {
            true => Self::Media { len },
            false => Self::File { len },
        }
    }
}

/// The sizes for a source.
///
/// A pure function, part of the format in so far as two clients deduplicate against each other only where it gives
/// them the same answer. A file that grows across a border is cut as before by a backup that has a
/// parent, whose node says so, and stored whole once more by one that has none.
///
/// | source | avg | why |
/// | --- | --- | --- |
/// | stream; file below 1 GiB | 64 KiB | dumps and images change in places: the second night of a 488 MB dump stores 23 MB, with 256 KiB 45, with 1 MiB 94; 16 KiB would save another third and cost four times the index |
/// | file below 64 GiB | 128 KiB | a second copy costs 1.4 times as much as with 64 KiB, the index half |
/// | larger file | 256 KiB | an image of 1 TiB is 3.4 million blobs, 150 MB of index at 44 bytes a row, not 600 |
/// | media from 1 MiB | 256 KiB | changed at most at one end (tags): 320 KiB stored again; 1 TB of photographs of 5 MB has 3 million blobs, not 12 |
/// | media from 16 MiB | 1 MiB | new or equal, hardly ever changed: the measured second nights of a website differ by 1 % from 16 KiB to 1 MiB |
///
/// Delta blocks make the second night of a changed file cheap whatever its chunks (3.2 MB for that dump), which is why
/// the index may decide for large files. Measured November 2026, `chunk` in `benches` gives the speed.
pub fn sizes_for(kind: SourceKind) -> Sizes {
    match kind {
        SourceKind::Media { len } if len >= 16 * MIB => Sizes::around_kib(1024),
        SourceKind::Media { len } if len >= MIB => Sizes::around_kib(256),
        SourceKind::File { len } if len >= 64 * GIB => Sizes::around_kib(256),
        SourceKind::File { len } if len >= GIB => Sizes::around_kib(128),
        SourceKind::File { .. } | SourceKind::Media { .. } | SourceKind::Stream => {
            Sizes::around_kib(64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_are_chosen_are_valid() {
        for kind in [
            SourceKind::Stream,
            SourceKind::File { len: 0 },
            SourceKind::File { len: GIB },
            SourceKind::File { len: u64::MAX },
            SourceKind::Media { len: MIB },
            SourceKind::Media { len: u64::MAX },
        ] {
            let sizes = sizes_for(kind);
            assert_eq!(Sizes::new(sizes.min, sizes.avg, sizes.max).unwrap(), sizes);
        }
    }

    #[test]
    fn borders_are_where_the_table_says() {
        let avg = |kind| sizes_for(kind).avg() / KIB;
        assert_eq!(avg(SourceKind::Stream), 64);
        assert_eq!(avg(SourceKind::File { len: GIB - 1 }), 64);
        assert_eq!(avg(SourceKind::File { len: GIB }), 128);
        assert_eq!(avg(SourceKind::File { len: 64 * GIB - 1 }), 128);
        assert_eq!(avg(SourceKind::File { len: 64 * GIB }), 256);
        assert_eq!(avg(SourceKind::Media { len: MIB - 1 }), 64);
        assert_eq!(avg(SourceKind::Media { len: MIB }), 256);
        assert_eq!(avg(SourceKind::Media { len: 16 * MIB }), 1024);
    }

    #[test]
    fn sizes_from_outside_are_checked() {
        let valid = |min, avg, max| Sizes::new(min, avg, max).is_ok();
        assert!(valid(64, 1024, 2048));
        assert!(valid(1 << 20, 4 << 20, 16 << 20));
        for (min, avg, max) in [
            (0, 0, 0),
            (62, 1024, 4096),
            (65, 1024, 4096),
            (64, 1024, 4097),
            (64, 512, 4096),
            (64, 1536, 4096),
            (514, 1024, 4096),
            (64, 1024, 2046),
            (64, 8 << 20, 16 << 20),
            ((1 << 20) + 2, 4 << 20, 16 << 20),
            (64, 1024, (16 << 20) + 2),
            (u32::MAX, u32::MAX, u32::MAX),
        ] {
            assert!(!valid(min, avg, max), "{min} {avg} {max}");
        }
    }

    #[test]
    fn media_are_known_by_their_extension() {
        assert!(MEDIA.is_sorted());
        let kind = |name: &str| SourceKind::of_file(Path::new(name), 5);
        assert_eq!(kind("a/b.JPG"), SourceKind::Media { len: 5 });
        assert_eq!(kind("dump.tar.zst"), SourceKind::Media { len: 5 });
        for name in ["a.c", "jpg", ".mp4", "disk.qcow2", "x.jpg.bak", ""] {
            assert_eq!(kind(name), SourceKind::File { len: 5 }, "{name}");
        }
    }
}
