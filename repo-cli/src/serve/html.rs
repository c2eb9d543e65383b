//! Pages: text around what is shown, in which no name of a backup can be anything but text.

use super::address::href;
use super::reply::Reply;
use crate::text::{as_markup, printable};
use hyper::{Response, StatusCode, header};

/// What a page may do: look like ours. There is no script in it, and none of elsewhere gets in.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Where the looks of all pages are; nothing of a backup has this address.
pub const STYLE_ADDRESS: &str = "/style.css";

/// The looks of all pages.
pub const STYLE: &str = "\
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 1.5rem auto; max-width: 75rem; padding: 0 1rem; }
nav { font-weight: 600; overflow-wrap: anywhere; }
nav a, td a { text-decoration: none; }
table { border-collapse: collapse; margin-top: 1rem; width: 100%; }
th { text-align: left; font-weight: 600; }
th, td { border-bottom: 1px solid #8884; padding: .2rem .8rem .2rem 0; vertical-align: top; }
td { overflow-wrap: anywhere; }
td.number, th.number { text-align: right; white-space: nowrap; }
td.time { white-space: nowrap; }
tr:hover { background: #8881; }
pre { border: 1px solid #8884; overflow-x: auto; padding: .6rem; }
img { max-width: 100%; }
.quiet { opacity: .65; }
";

/// A name as a page shows it: what is no text, or would change that around it, as signs.
pub fn shown(name: &[u8]) -> String {
    shown_text(&String::from_utf8_lossy(name))
}

/// The same of text.
pub fn shown_text(text: &str) -> String {
    format!("<bdi>{}</bdi>", as_markup(&printable(text)))
}

/// A page that grows from its head on.
pub struct Page(String);

impl Page {
    /// Begins with the way to what has these names.
    pub fn new(names: &[Vec<u8>], is_dir: bool) -> Self {
        let title = names.last().map_or("larder".into(), |name| {
            as_markup(&printable(&String::from_utf8_lossy(name)))
        });
        let mut page = Self(format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{title}</title>\n<link rel=\"stylesheet\" href=\"{STYLE_ADDRESS}\">\n<nav><a href=\"/\">larder</a>"
        ));
        for at in 1..=names.len() {
            let slash = at < names.len() || is_dir;
            let way = href(&names[..at], slash);
            page.add(&format!(
                " / <a href=\"{way}\">{}</a>",
                shown(&names[at - 1])
            ));
        }
        page.add("</nav>\n");
        page
    }

    /// Adds a piece of HTML.
    pub fn add(&mut self, html: &str) {
        self.0.push_str(html);
    }

    /// Sends it.
    pub fn send(self, status: StatusCode, reply: Reply) {
        let builder = Response::builder()
            .status(status)
            .header(header::CONTENT_TYPE, "text/html; charset=utf-8")
            .header(header::CACHE_CONTROL, "no-store")
            .header(header::CONTENT_SECURITY_POLICY, POLICY);
        reply.whole(builder, self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_nothing_but_text() {
        assert_eq!(
            shown(b"<script>\"&'"),
            "<bdi>&lt;script&gt;&quot;&amp;&#39;</bdi>"
        );
        assert_eq!(
            shown("a\u{202e}b\n".as_bytes()),
            "<bdi>a\\u{202e}b\\n</bdi>"
        );
        assert_eq!(shown(b"\xff"), "<bdi>\u{fffd}</bdi>");
    }
}
