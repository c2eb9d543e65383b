//! WebDAV, as far as reading goes (RFC 4918): PROPFIND of a thing, or of it and what is in it.

use super::Library;
use super::address::{href, shown};
use super::media::Media;
use super::reply::{PIECE, Reply};
use super::steps::Steps;
use super::target::{Target, tag_of, time_of};
use crate::text::{http_date, printable, rfc3339};
use hyper::{HeaderMap, Response, StatusCode, header};
use quick_xml::escape::{escape, unescape};
use quick_xml::events::Event;
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;
use repo_core::fs::Kind;
use repo_core::ops::size_of;
use repo_core::vfs::{Facts, Listed, Object, Plain};
use repo_core::{Error, ErrorKind, Result, Subject};
use std::sync::Arc;

/// What is answered to.
pub const ALLOWED: &str = "OPTIONS, GET, HEAD, PROPFIND";

/// The longest question.
pub const QUESTION_BYTES_MAX: usize = 64 << 10;

/// Most properties that are asked for.
const PROPERTIES_MAX: usize = 200;

const DAV: &str = "DAV:";

/// Properties that are known; all of them are given to who asks for none by name.
const KNOWN: [&str; 8] = [
    "resourcetype",
    "displayname",
    "getcontentlength",
    "getcontenttype",
    "getetag",
    "getlastmodified",
    "creationdate",
    "supportedlock",
];

/// The longest namespace: what is asked for is said again of every entry that has it not.
const NAMESPACE_BYTES_MAX: usize = 256;

/// A property: its namespace and its name.
type Property = (String, String);

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// All that is known.
    All,
    /// The names of that.
    Names,
    /// These.
    These(Vec<Property>),
}

/// Says what is answered to.
pub fn options(reply: Reply) {
    let builder = Response::builder()
        .header("DAV", "1")
        .header("MS-Author-Via", "DAV")
        .header(header::ALLOW, ALLOWED);
    reply.whole(builder, "");
}

/// Reads the question; none is one for all.
pub fn asked(body: &[u8]) -> Option<Asked> {
    let text = str::from_utf8(body).ok()?;
    if text.trim().is_empty() {
        return Some(Asked::All);
    }
    if !text.chars().all(is_of_xml) {
        return None;
    }
    let mut reader = NsReader::from_str(text);
    let (mut path, mut these, mut asked): (Vec<Property>, Vec<Property>, _) =
        (Vec::new(), Vec::new(), None);
    let mut is_over = false;
    loop {
        let (namespace, event) = reader.read_resolved_event().ok()?;
        let (start, is_empty) = match &event {
            Event::Start(start) => (start, false),
            Event::Empty(start) => (start, true),
            Event::End(_) => {
                path.pop();
                is_over = path.is_empty();
                continue;
            }
            Event::Eof => break,
            // What a document brings of its own is never expanded.
            Event::DocType(_) => return None,
            _ => continue,
        };
        let property = (
            namespace_of(&namespace)?,
            start.local_name().as_ref().to_owned(),
        );
        let is = |at: &Property, name: &str| at.0 == DAV && at.1 == name;
        match &path[..] {
            [] if is_over || is_empty || !is(&property, "propfind") => return None,
            [_] if is(&property, "allprop") => asked = Some(Asked::All),
            [_] if is(&property, "propname") => asked = Some(Asked::Names),
            [_] if is(&property, "prop") && asked.is_none() => {
                asked = Some(Asked::These(Vec::new()));
            }
            [_, within] if is(within, "prop") => these.push(property.clone()),
            _ => {}
        }
        if !is_plain(&property.1) || these.len() > PROPERTIES_MAX || path.len() > 8 {
            return None;
        }
        if !is_empty {
            path.push(property);
        }
    }
    match asked.filter(|_| is_over)? {
        Asked::These(_) => Some(Asked::These(these)),
        all => Some(all),
    }
}

/// A namespace as it is meant, if it can be said back.
fn namespace_of(found: &ResolveResult<'_>) -> Option<String> {
    let name = match found {
        ResolveResult::Bound(Namespace(name)) => unescape(name).ok()?.into_owned(),
        ResolveResult::Unbound => String::new(),
        ResolveResult::Unknown(_) => return None,
    };
    let is_plain =
        |letter: char| is_of_xml(letter) && !letter.is_control() && !letter.is_whitespace();
    (name.len() <= NAMESPACE_BYTES_MAX && name.chars().all(is_plain)).then_some(name)
}

/// Whether a document may have this letter (XML 1.0, 2.2).
fn is_of_xml(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Whether a name without a prefix can be said back as it is (XML 1.0, 2.3), also to who reads by an edition before the fifth.
fn is_plain(name: &str) -> bool {
    let is_first = |letter: char| {
        let is_letter = letter.is_alphabetic() || letter == '_';
        is_letter
            && matches!(letter,
            'A'..='Z' | '_' | 'a'..='z' | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}'
            | '\u{370}'..='\u{37d}' | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}'
            | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}'
            | '\u{fdf0}'..='\u{fffd}' | '\u{10000}'..='\u{effff}')
    };
    let is_further =
        |letter: char| is_first(letter) || matches!(letter, '-' | '.' | '0'..='9' | '\u{b7}');
    name.starts_with(is_first) && name.chars().all(is_further)
}

/// Answers a PROPFIND.
pub fn propfind(
    library: &Arc<Library>,
    target: &Target,
    headers: &HeaderMap,
    body: &[u8],
    reply: Reply,
) -> Result<()> {
    let deep = match headers.get("depth").map(|depth| depth.as_bytes()) {
        Some(b"0") => false,
        Some(b"1") => true,
        _ => {
            refuse_infinity(reply);
            return Ok(());
        }
    };
    let Some(asked) = asked(body) else {
        reply.text(StatusCode::BAD_REQUEST, "the question is no PROPFIND");
        return Ok(());
    };
    let builder = Response::builder()
        .status(StatusCode::MULTI_STATUS)
        .header(header::CONTENT_TYPE, "application/xml; charset=utf-8");
    let mut listing = Listing {
        text: BEGIN.as_bytes().to_vec(),
        from: (deep && target.is_dir()).then_some(0),
        ended: false,
        library: library.clone(),
        target: target.clone(),
        asked,
    };
    let own = response(&target.names, &target.facts, &listing.asked);
    listing.text.extend_from_slice(own.as_bytes());
    // Damage at its beginning can still be said.
    listing.fill()?;
    reply.steps(builder, listing.text.clone(), listing);
    Ok(())
}

/// How an answer begins and ends.
const BEGIN: &str =
    "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:multistatus xmlns:D=\"DAV:\">\n";
const END: &str = "</D:multistatus>\n";

/// What is said of a thing and its entries, on its way.
struct Listing {
    library: Arc<Library>,
    target: Target,
    asked: Asked,
    /// What was made and is not taken.
    text: Vec<u8>,
    /// From where the list goes on, until it ends.
    from: Option<u64>,
    /// Whether the end was made.
    ended: bool,
}

impl Listing {
    /// Makes about a piece more.
    fn fill(&mut self) -> Result<()> {
        let (view, object) = (&self.library.view, &self.target.object);
        if let Some(from) = self.from.take() {
            let (target, asked, text, next) =
                (&self.target, &self.asked, &mut self.text, &mut self.from);
            view.list(object, from, &mut |listed| {
                entry(target, &listed, asked, text);
                if text.len() >= PIECE {
                    *next = Some(listed.next);
                }
                next.is_none()
            })?;
        }
        if self.from.is_none() && !self.ended {
            self.text.extend_from_slice(END.as_bytes());
            self.ended = true;
        }
        Ok(())
    }

    fn go_on(&mut self, taken: usize) -> Result<()> {
        self.text.drain(..taken);
        if !self.text.is_empty() || self.ended {
            return Ok(());
        }
        self.library.interrupt.check()?;
        // Places in a list of snapshots are others once there are others.
        let now = self.library.view.facts(&self.target.object)?;
        match time_of(&now) == time_of(&self.target.facts) {
            true => self.fill(),
            false => Err(Error::new(ErrorKind::Interrupted, Subject::None)),
        }
    }
}

impl Steps for Listing {
    fn next(&mut self, taken: usize) -> Option<Vec<u8>> {
        let library = self.library.clone();
        let went_on = self.go_on(taken);
        library.told(|| shown(&self.target.names), went_on)?;
        Some(self.text.clone())
    }
}

fn refuse_infinity(reply: Reply) {
    let builder = Response::builder()
        .status(StatusCode::FORBIDDEN)
        .header(header::CONTENT_TYPE, "application/xml; charset=utf-8");
    let why = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:error xmlns:D=\"DAV:\"><D:propfind-finite-depth/></D:error>\n";
    reply.whole(builder, why);
}

/// Adds one entry of a directory: WebDAV knows files and directories. A link of ours leads to a snapshot, and is shown as that.
fn entry(target: &Target, listed: &Listed<'_>, asked: &Asked, text: &mut Vec<u8>) {
    let facts = match (&listed.object, &listed.facts) {
        (Object::Link(_), Facts::Plain(link)) => &Facts::Plain(Plain {
            kind: Kind::Dir,
            ..*link
        }),
        (_, facts) => facts,
    };
    if matches!(facts.kind(), Kind::File | Kind::Dir) {
        let mut names = target.names.clone();
        names.push(listed.name.to_vec());
        text.extend_from_slice(response(&names, facts, asked).as_bytes());
    }
}

/// What is said of one thing.
fn response(names: &[Vec<u8>], facts: &Facts, asked: &Asked) -> String {
    let is_dir = facts.kind() == Kind::Dir;
    let mut there = String::new();
    let mut absent = String::new();
    let name = names.last().map_or(&b"larder"[..], Vec::as_slice);
    match asked {
        Asked::All => KNOWN.iter().for_each(|known| {
            there.push_str(&value(known, name, facts).unwrap_or_default());
        }),
        Asked::Names => KNOWN.iter().for_each(|known| {
            if value(known, name, facts).is_some() {
                there.push_str(&format!("<D:{known}/>"));
            }
        }),
        Asked::These(these) => {
            for (namespace, property) in these {
                let found = (namespace == DAV)
                    .then(|| value(property, name, facts))
                    .flatten();
                match found {
                    Some(found) => there.push_str(&found),
                    None => absent.push_str(&unknown(namespace, property)),
                }
            }
        }
    }
    let mut text = format!("<D:response><D:href>{}</D:href>", href(names, is_dir));
    // An answer has one of these, also for who asked for nothing.
    let none_absent = absent.is_empty();
    for (properties, status, even_empty) in [
        (there, "200 OK", none_absent),
        (absent, "404 Not Found", false),
    ] {
        if even_empty || !properties.is_empty() {
            text.push_str(&format!(
                "<D:propstat><D:prop>{properties}</D:prop><D:status>HTTP/1.1 {status}</D:status></D:propstat>"
            ));
        }
    }
    text.push_str("</D:response>\n");
    text
}

fn unknown(namespace: &str, property: &str) -> String {
    match namespace.is_empty() {
        true => format!("<{property} xmlns=\"\"/>"),
        false => format!("<x:{property} xmlns:x=\"{}\"/>", escape(namespace)),
    }
}

/// A property of a thing with this name, as XML.
fn value(property: &str, name: &[u8], facts: &Facts) -> Option<String> {
    let file = match facts {
        Facts::Node(node) if facts.kind() == Kind::File => Some(node),
        _ => None,
    };
    let text = match property {
        "resourcetype" => match facts.kind() {
            Kind::Dir => "<D:collection/>".to_owned(),
            _ => String::new(),
        },
        "displayname" => {
            // Two letters that XML does not know.
            let name = String::from_utf8_lossy(name).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}");
            escape(&*printable(&name)).into_owned()
        }
        "getcontentlength" => size_of(file?).to_string(),
        "getcontenttype" => Media::of(name).content_type().to_owned(),
        "getetag" => escape(tag_of(file?)?).into_owned(),
        "getlastmodified" => http_date(time_of(facts))?,
        "creationdate" => rfc3339(time_of(facts), 0),
        "supportedlock" => String::new(),
        _ => return None,
    };
    if property == "getcontenttype" && file.is_none() {
        return None;
    }
    Some(format!("<D:{property}>{text}</D:{property}>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn these(properties: &[(&str, &str)]) -> Option<Asked> {
        let owned =
            |(namespace, name): &(&str, &str)| ((*namespace).to_owned(), (*name).to_owned());
        Some(Asked::These(properties.iter().map(owned).collect()))
    }

    #[test]
    fn questions_are_read_by_namespace() {
        let question = |inside: &str| {
            asked(
                format!("<a:propfind xmlns:a='DAV:' xmlns='urn:x'>{inside}</a:propfind>")
                    .as_bytes(),
            )
        };
        assert_eq!(asked(b" \n"), Some(Asked::All));
        assert_eq!(question("<a:allprop/>"), Some(Asked::All));
        assert_eq!(question("<a:propname></a:propname>"), Some(Asked::Names));
        assert_eq!(
            question("<a:prop><a:getetag/><odd><a:getetag/></odd></a:prop>"),
            these(&[("DAV:", "getetag"), ("urn:x", "odd")])
        );
        assert_eq!(
            question("<a:prop><b xmlns='urn:&amp;&lt;&#34;'/></a:prop>"),
            these(&[("urn:&<\"", "b")])
        );
        assert_eq!(
            unknown("urn:&<\"", "b"),
            "<x:b xmlns:x=\"urn:&amp;&lt;&quot;\"/>"
        );
        assert_eq!(question("<a:prop/>"), these(&[]));
    }

    #[test]
    fn what_is_no_question_is_refused() {
        let many = format!(
            "<D:propfind xmlns:D='DAV:'><D:prop>{}</D:prop></D:propfind>",
            "<D:a/>".repeat(201)
        );
        let deep = "<D:propfind xmlns:D='DAV:'>".repeat(30);
        let around = |inside: &str| format!("<D:propfind xmlns:D='DAV:'>{inside}</D:propfind>");
        let wrong = [
            "<D:prop><a xmlns='&#1;'/></D:prop>",
            "<D:prop><a xmlns='\u{1}'/></D:prop>",
            "<D:prop><a xmlns='&odd;'/></D:prop>",
            "<D:prop><a xmlns='a&#10;b'/></D:prop>",
            "<D:prop><a xmlns='a b'/></D:prop>",
            "<D:prop><a\u{b2}/></D:prop>",
            "<D:prop>\u{b}</D:prop>",
            "",
            "<D:include/>",
        ];
        for inside in wrong {
            assert_eq!(asked(around(inside).as_bytes()), None, "{inside:?}");
        }
        let two = around("<D:allprop/>").repeat(2);
        let long = format!(
            "<D:propfind xmlns:D='DAV:' xmlns:a='{}'><D:prop><a:b/></D:prop></D:propfind>",
            "x".repeat(NAMESPACE_BYTES_MAX + 1)
        );
        let odd = "<D:propfind xmlns:D='DAV:'><D:prop><D:a\"b/></D:prop></D:propfind>";
        let bomb = "<!DOCTYPE a [<!ENTITY b 'c'>]><propfind xmlns='DAV:'/>";
        for text in [
            "<propfind/>",
            "<D:propfind xmlns:D='DAV:'><D:allprop/>",
            "<D:propfind xmlns:D='DAV:'><D:prop><D:getetag/></D:prop>",
            "<D:propfind xmlns:D='DAV:'/>",
            two.as_str(),
            "<D:propfind/>",
            "nonsense<",
            many.as_str(),
            long.as_str(),
            deep.as_str(),
            bomb,
            odd,
        ] {
            assert_eq!(asked(text.as_bytes()), None, "{text}");
        }
        assert_eq!(asked(b"\xff"), None);
    }
}
