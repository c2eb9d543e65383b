//! Statistics as an SVG picture: a hundred lines of text, for which no library of charts is needed.

use crate::text::{as_markup, bytes, local_time, printable};
use repo_core::time::Timestamp;

const WIDTH: f64 = 960.0;
/// What the names of bars, or the numbers of an axis, take, and the numbers behind bars.
const LEFT: f64 = 150.0;
const RIGHT: f64 = 190.0;
const LINE: f64 = 22.0;
const CHART: f64 = 320.0;
const TOP: f64 = 50.0;

/// The two colours can be told apart also by who sees few (Okabe, Ito).
const WHOLE: &str = "#56b4e9";
const PART: &str = "#d55e00";

/// What is drawn of one name: how much there is, and what is stored of it.
pub struct Bar {
    pub name: String,
    pub whole: u64,
    pub part: u64,
}

fn text(x: f64, y: f64, anchor: &str, words: &str) -> String {
    format!(
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>\n",
        as_markup(&printable(words))
    )
}

fn rect(x: f64, y: f64, (width, height): (f64, f64), color: &str) -> String {
    format!(
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{color}\"/>\n"
    )
}

/// The whole picture, with what the colours mean.
fn picture(height: f64, (whole, part): (&str, &str), body: &str) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (at, color, words) in [(LEFT, WHOLE, whole), (LEFT + 260.0, PART, part)] {
        svg.push_str(&rect(at, 14.0, (14.0, 14.0), color));
        svg.push_str(&text(at + 20.0, 26.0, "start", words));
    }
    svg.push_str(body);
    svg.push_str("</svg>\n");
    svg
}

/// One bar a name, as long as there is much of it, with what is stored of it.
pub fn bars(all: &[Bar]) -> String {
    let most = all.iter().map(|bar| bar.whole.max(bar.part)).max();
    let most = most.unwrap_or(0).max(1) as f64;
    let scale = (WIDTH - LEFT - RIGHT) / most;
    let mut body = String::new();
    for (bar, number) in all.iter().zip(0u32..) {
        let y = TOP + f64::from(number) * LINE;
        body.push_str(&text(LEFT - 8.0, y + 14.0, "end", &bar.name));
        let whole = bar.whole as f64 * scale;
        body.push_str(&rect(LEFT, y + 2.0, (whole, LINE - 6.0), WHOLE));
        let part = (bar.part as f64 * scale, (LINE - 6.0) / 2.0);
        body.push_str(&rect(LEFT, y + 2.0, part, PART));
        let end = LEFT + whole.max(part.0) + 6.0;
        let numbers = format!("{} of {}", bytes(bar.part), bytes(bar.whole));
        body.push_str(&text(end, y + 14.0, "start", &numbers));
    }
    let height = TOP + all.len() as f64 * LINE + 20.0;
    picture(height, ("size", "stored"), &body)
}

/// How large snapshots are, and what all up to each take together.
pub fn over_time(points: &[(Timestamp, u64, u64)]) -> String {
    let seconds = |time: &Timestamp| time.seconds as f64;
    let times = points.iter().map(|(time, ..)| seconds(time));
    let (first, last) = times.fold((f64::MAX, f64::MIN), |(a, b), t| (a.min(t), b.max(t)));
    let most = points.iter().map(|(_, size, stored)| (*size).max(*stored));
    let most = most.max().unwrap_or(0);
    let step = step(most);
    let lines = most.div_ceil(step);
    let top = step.saturating_mul(lines).max(1);
    let width = WIDTH - LEFT - RIGHT;
    let x = |time: &Timestamp| LEFT + (seconds(time) - first) / (last - first).max(1.0) * width;
    let y = |count: u64| TOP + CHART * (1.0 - count as f64 / top as f64);
    let line = |of: &dyn Fn(&(Timestamp, u64, u64)) -> u64, color: &str| {
        let place = |point| format!("{:.1},{:.1}", x(&point_time(point)), y(of(point)));
        let places: Vec<String> = points.iter().map(place).collect();
        format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>\n",
            places.join(" ")
        )
    };
    let mut body = String::new();
    for number in 0..=lines {
        let count = step.saturating_mul(number);
        let y = y(count);
        body.push_str(&rect(LEFT, y, (width, 1.0), "#dddddd"));
        let number = bytes(count).replace(".000", "");
        body.push_str(&text(LEFT - 8.0, y + 4.0, "end", &number));
    }
    body.push_str(&line(&|(_, size, _)| *size, WHOLE));
    body.push_str(&line(&|(_, _, stored)| *stored, PART));
    for ((time, size, stored), anchor) in [(points.first(), "start"), (points.last(), "end")]
        .into_iter()
        .filter_map(|(point, anchor)| Some((point?, anchor)))
    {
        for (count, color) in [(*size, WHOLE), (*stored, PART)] {
            let (x, y) = (x(time) - 3.0, y(count) - 3.0);
            body.push_str(&rect(x, y, (6.0, 6.0), color));
        }
        body.push_str(&text(
            x(time),
            TOP + CHART + 20.0,
            anchor,
            &local_time(*time),
        ));
    }
    let what = ("size of each snapshot", "stored, all up to it together");
    picture(TOP + CHART + 40.0, what, &body)
}

/// From one line of the scale to the next: a power of two, so that the numbers are round, and at most five lines are needed.
fn step(most: u64) -> u64 {
    (most / 4).max(1).next_power_of_two()
}

fn point_time(point: &(Timestamp, u64, u64)) -> Timestamp {
    point.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_break_out_of_the_picture() {
        let bar = Bar {
            name: "<x>&\u{1b}".into(),
            whole: 10,
            part: 5,
        };
        let svg = bars(&[bar]);
        assert!(svg.contains(">&lt;x&gt;&amp;\\u{1b}</text>"), "{svg}");
        assert!(
            svg.contains("width=\"620.0\"") && svg.contains("width=\"310.0\""),
            "{svg}"
        );
    }

    #[test]
    fn a_line_goes_from_the_oldest_to_the_newest() {
        let time = |seconds| Timestamp::new(seconds, 0);
        let svg = over_time(&[(time(0), 50, 10), (time(50), 50, 20), (time(100), 100, 30)]);
        let expected = "points=\"150.0,245.0 460.0,245.0 770.0,120.0\"";
        assert!(svg.contains(expected), "{svg}");
        // The scale has round numbers.
        assert!(svg.contains(">96 B</text>") && svg.contains(">128 B</text>"));
        let svg = over_time(&[(time(0), 5 << 30, u64::MAX)]);
        assert!(svg.contains(">4 EiB</text>"), "{svg}");
        assert!(over_time(&[]).ends_with("</svg>\n"));
        assert!(over_time(&[(time(5), 0, 0)]).contains("points=\"150.0,370.0\""));
    }
}
