//! What a file is, by its name, as far as a browser may know it.
//!
//! Nothing of a backup ever runs: what a browser would take for a page or a script is text, and all else but pictures is for keeping.

/// How a browser gets a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// A picture of this type.
    Picture(&'static str),
    /// Text, also if it is HTML.
    Text,
    /// Anything else.
    Other,
}

impl Media {
    /// By the ending of a name.
    pub fn of(name: &[u8]) -> Self {
        let name = String::from_utf8_lossy(name).to_lowercase();
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        match ending {
            "png" => Self::Picture("image/png"),
            "jpg" | "jpeg" => Self::Picture("image/jpeg"),
            "gif" => Self::Picture("image/gif"),
            "webp" => Self::Picture("image/webp"),
            "avif" => Self::Picture("image/avif"),
            "bmp" => Self::Picture("image/bmp"),
            "ico" => Self::Picture("image/x-icon"),
            _ if TEXTS.contains(&ending) => Self::Text,
            _ => Self::Other,
        }
    }

    /// The type that is said of it.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Picture(of) => of,
            Self::Text => "text/plain; charset=utf-8",
            Self::Other => "application/octet-stream",
        }
    }
}

/// Endings of text.
const TEXTS: [&str; 52] = [
    "asc",
    "bash",
    "c",
    "cc",
    "cfg",
    "conf",
    "cpp",
    "cs",
    "css",
    "csv",
    "diff",
    "eml",
    "go",
    "h",
    "hpp",
    "htm",
    "html",
    "ini",
    "java",
    "js",
    "json",
    "jsx",
    "kt",
    "lock",
    "log",
    "lua",
    "md",
    "mjs",
    "patch",
    "php",
    "pl",
    "properties",
    "py",
    "rb",
    "rs",
    "rst",
    "service",
    "sh",
    "sql",
    "svg",
    "tex",
    "toml",
    "ts",
    "tsv",
    "tsx",
    "txt",
    "vcf",
    "xhtml",
    "xml",
    "yaml",
    "yml",
    "zsh",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_a_page_or_a_script() {
        for name in [
            "a.html", "a.HTM", "a.svg", "a.xml", "a.js", "a.xhtml", "a.css",
        ] {
            assert_eq!(Media::of(name.as_bytes()), Media::Text, "{name}");
        }
        for name in ["a.pdf", "a", "a.html.", "a.shtml", "a.wasm", ".html5"] {
            assert_eq!(Media::of(name.as_bytes()), Media::Other, "{name}");
        }
        assert_eq!(Media::of(b"\xff.PNG").content_type(), "image/png");
    }
}
