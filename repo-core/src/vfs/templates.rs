//! Where snapshots stand among the directories of a view.

use super::time_layout;
use crate::error::{Error, Result};
use crate::snapshot::SnapshotInfo;

/// Where snapshots stand if nothing else is said.
pub const PATHS: [&str; 5] = [
    "ids/%i",
    "snapshots/%T",
    "hosts/%h/%T",
    "tags/%t/%T",
    "labels/%l/%T",
];

/// How points in time are written if nothing else is said: RFC 3339.
pub const TIME: &str = "2006-01-02T15:04:05Z07:00";

/// Templates of paths, and the layout of the points in time in them.
///
/// In a path `%i` and `%I` stand for the short and the whole id, `%u` for the user, `%h` for the host, `%t` for each of the tags, `%l`
/// for the label, `%T` for the time, `%%` for a percent sign. A snapshot without a tag or label stands nowhere where one is asked for.
#[derive(Debug, Clone)]
pub struct Templates {
    paths: Vec<Vec<Piece>>,
    time: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    ShortId,
    Id,
    User,
    Host,
    Tag,
    Label,
    Time,
}

/// A place: names of directories from the top, and whether the last is that of a point in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceOf {
    /// The names.
    pub names: Vec<String>,
    /// Whether snapshots stand there by their time, so that one is the latest.
    pub by_time: bool,
}

impl Default for Templates {
    fn default() -> Self {
        let paths = PATHS.iter().map(|path| pieces(path)).collect();
        Self {
            paths,
            time: TIME.to_owned(),
        }
    }
}

impl Templates {
    /// Reads templates. `InvalidInput` if a path or the time would be empty.
    pub fn new<'t>(paths: impl IntoIterator<Item = &'t str>, time: &str) -> Result<Self> {
        let empty = |path: &str| path.split('/').all(str::is_empty);
        if empty(time) || time.starts_with('/') || time.ends_with('/') {
            return Err(
                Error::invalid("time-template").detail("is empty, or begins or ends with a slash")
            );
        }
        let mut templates = Self {
            paths: Vec::new(),
            time: time.to_owned(),
        };
        for path in paths {
            if empty(path) {
                return Err(Error::invalid("path-template").detail("names no directory"));
            }
            templates.paths.push(pieces(path));
        }
        Ok(templates)
    }

    /// The time of a snapshot, as it is written in paths.
    pub fn time(&self, info: &SnapshotInfo) -> String {
        let summary = &info.summary;
        time_layout::format(&self.time, summary.time, summary.utc_offset_min)
    }

    /// Everywhere where a snapshot stands.
    pub fn places(&self, info: &SnapshotInfo) -> Vec<PlaceOf> {
        let time = self.time(info);
        let mut places = Vec::new();
        for pieces in &self.paths {
            let by_time = pieces.last() == Some(&Piece::Time);
            for path in filled(pieces, info, &time) {
                let names = path.split('/').filter(|name| !matches!(*name, "" | "."));
                let names: Vec<String> = names.map(str::to_owned).collect();
                if !names.is_empty() && !names.iter().any(|name| name == "..") {
                    places.push(PlaceOf { names, by_time });
                }
            }
        }
        places
    }
}

fn pieces(template: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut chars = template.chars();
    while let Some(next) = chars.next() {
        let piece = match (next, chars.clone().next()) {
            ('%', Some('i')) => Piece::ShortId,
            ('%', Some('I')) => Piece::Id,
            ('%', Some('u')) => Piece::User,
            ('%', Some('h')) => Piece::Host,
            ('%', Some('t')) => Piece::Tag,
            ('%', Some('l')) => Piece::Label,
            ('%', Some('T')) => Piece::Time,
            ('%', Some('%')) => {
                chars.next();
                text.push('%');
                continue;
            }
            _ => {
                text.push(next);
                continue;
            }
        };
        chars.next();
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        pieces.push(piece);
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    pieces
}

/// The paths that a template makes of a snapshot: one for each tag, if tags are in it.
fn filled(pieces: &[Piece], info: &SnapshotInfo, time: &str) -> Vec<String> {
    let summary = &info.summary;
    if pieces.contains(&Piece::Label) && summary.label.is_empty() {
        return Vec::new();
    }
    let with = |tag: &str| {
        let parts = pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::ShortId => info.id.short(),
            Piece::Id => info.id.to_hex(),
            Piece::User => one_name(&summary.user),
            Piece::Host => one_name(&summary.host),
            Piece::Tag => one_name(tag),
            Piece::Label => one_name(&summary.label),
            Piece::Time => time.to_owned(),
        });
        parts.collect::<String>()
    };
    match pieces.contains(&Piece::Tag) {
        true => summary.tags.iter().map(|tag| with(tag)).collect(),
        false => vec![with("")],
    }
}

/// A text that is the name of one directory, as restic makes one of a tag.
fn one_name(text: &str) -> String {
    match text {
        "" | "." => "_".to_owned(),
        ".." => "__".to_owned(),
        _ => text.replace(['/', '\0'], "_"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::snapshot::Summary;
    use crate::id::SnapshotId;
    use crate::time::Timestamp;

    fn info(tags: &[&str], label: &str) -> SnapshotInfo {
        let summary = Summary {
            time: Timestamp::new(1_741_493_106, 0),
            utc_offset_min: 60,
            host: "web/1".into(),
            user: "root".into(),
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            label: label.into(),
            ..Summary::default()
        };
        let id = SnapshotId([0xab; 32]);
        SnapshotInfo { id, summary }
    }

    fn places(paths: &[&str], info: &SnapshotInfo) -> Vec<String> {
        let templates = Templates::new(paths.iter().copied(), TIME).unwrap();
        let places = templates.places(info).into_iter();
        places.map(|place| place.names.join("/")).collect()
    }

    #[test]
    fn snapshots_stand_where_templates_say() {
        let both = info(&["a", "x/y"], "nightly");
        let time = "2025-03-09T05:05:06+01:00";
        assert_eq!(
            places(&["ids/%i", "%h/%u-%T", "t/%t/%T", "%l", "100%%/%x"], &both),
            [
                "ids/abababab".to_owned(),
                format!("web_1/root-{time}"),
                format!("t/a/{time}"),
                format!("t/x_y/{time}"),
                "nightly".to_owned(),
                "100%/%x".to_owned(),
            ]
        );
        assert_eq!(places(&["%I"], &both), ["ab".repeat(32)]);
    }

    #[test]
    fn what_a_snapshot_lacks_puts_it_nowhere() {
        let neither = info(&[], "");
        assert!(places(&["tags/%t/%T", "labels/%l"], &neither).is_empty());
        assert_eq!(places(&["%t", "../%h"], &info(&[".."], "")), ["__"]);
        let default = Templates::default().places(&neither);
        assert_eq!(default.len(), 3);
        assert!(!default[0].by_time && default[1].by_time);
    }

    #[test]
    fn templates_name_something() {
        for (path, time) in [("", TIME), ("//", TIME), ("a", ""), ("a", "/2006")] {
            let refused = Templates::new([path], time).unwrap_err();
            assert_eq!(refused.kind(), crate::ErrorKind::InvalidInput);
        }
        let days = Templates::new(["%T"], "2006/01/02").unwrap();
        let names = days.places(&info(&[], "")).remove(0).names;
        assert_eq!(names, ["2025", "03", "09"]);
    }
}
