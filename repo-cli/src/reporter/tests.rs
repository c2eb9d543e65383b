use super::*;
use crate::terminal::OutputFlags;

fn terminal(json: bool, quiet: bool) -> Terminal {
    Terminal::new(OutputFlags {
        json,
        quiet,
        verbose: Vec::new(),
        ..OutputFlags::default()
    })
}

#[test]
fn a_line_says_how_far_how_fast_how_long() {
    let counters = Counters::default();
    counters.nodes.store(3, Ordering::Relaxed);
    counters.bytes.store(10 << 20, Ordering::Relaxed);
    let first = counters.sample(Duration::from_secs(2), &Sample::default());
    let text = |sample: &Sample| sample.data_words().text();
    assert_eq!(text(&first), "[0:02]  3 items, 10.0 MiB, 5.0 MiB/s");
    counters.bytes_expected.store(20 << 20, Ordering::Relaxed);
    counters.problems.store(1, Ordering::Relaxed);
    let unfinished = counters.sample(Duration::from_secs(2), &Sample::default());
    assert_eq!(
        text(&unfinished),
        "[0:02]  3 items, 10.0 MiB, 5.0 MiB/s, 1 error"
    );
    counters.all_expected.store(true, Ordering::Relaxed);
    let second = counters.sample(Duration::from_secs(2), &Sample::default());
    assert_eq!(
        text(&second),
        "[0:02] 50.0%  3 items, 10.0 MiB of 20.0 MiB, 5.0 MiB/s, ETA 0:02, 1 error"
    );
}

#[test]
fn the_rate_is_that_since_the_first_byte_and_later_that_of_the_last_seconds() {
    let counters = Counters::default();
    let mut last = Sample::default();
    let mut rate_at = |millis: u64, bytes| {
        counters.bytes.store(bytes, Ordering::Relaxed);
        last = counters.sample(Duration::from_millis(millis), &last);
        last.rate.round() as u64
    };
    assert_eq!(rate_at(3000, 0), 0, "nothing is done yet");
    assert_eq!(rate_at(3100, 100), 1000);
    assert_eq!(rate_at(5000, 4000), 2000);
    // Ten seconds that are as fast as before, then nothing more.
    for second in 6..=15 {
        assert_eq!(rate_at(second * 1000, (second - 3) * 2000), 2000);
    }
    assert!((900..2000).contains(&rate_at(23_000, 24_000)));
    for second in 24..=43 {
        rate_at(second * 1000, 24_000);
    }
    assert_eq!(
        rate_at(44_000, 24_000),
        0,
        "what is long ago counts no more"
    );
}

#[test]
fn a_check_says_how_many_packs_there_are() {
    let terminal = terminal(true, false);
    let reporter = Reporter::new(&terminal, &Env::fixed(&[]), Work::Check);
    let sample = || {
        let counters = &reporter.counters;
        counters.sample(Duration::from_secs(2), &Sample::default())
    };
    assert_eq!(
        sample().check_words("pack", "packs").text(),
        "[0:02]  looking at what is there"
    );
    reporter.count(Counter::BytesExpected, 40 << 20);
    reporter.count(Counter::ObjectsExpected, 3);
    reporter.count(Counter::Bytes, 10 << 20);
    reporter.count(Counter::Objects, 1);
    assert_eq!(
        sample().check_words("pack", "packs").text(),
        "[0:02] 25.0%  1 of 3 packs, 10.0 MiB of 40.0 MiB, 5.0 MiB/s, ETA 0:06"
    );
    let status: serde_json::Value = serde_json::from_str(&reporter.status(&sample())).unwrap();
    assert_eq!(status["percent_done"], 0.25);
    assert_eq!(
        (&status["objects_done"], &status["total_objects"]),
        (&1.into(), &3.into())
    );
    assert_eq!(status["total_bytes"], 40 << 20);
    assert_eq!(status["seconds_remaining"], 6);
}

#[test]
fn a_restore_says_what_it_compares_and_reads_back() {
    let terminal = terminal(true, false);
    let reporter = Reporter::new(&terminal, &Env::fixed(&[]), Work::Restore);
    reporter.count(Counter::BytesCompared, 3 << 20);
    let sample = |at| {
        let counters = &reporter.counters;
        counters.sample(Duration::from_secs(at), &Sample::default())
    };
    assert_eq!(
        sample(2).data_words().text(),
        "[0:02]  0 items, 0 B, compared 3.0 MiB"
    );
    reporter.count(Counter::BytesVerified, 5 << 20);
    let text = sample(3).data_words().text();
    assert!(
        text.ends_with(", compared 3.0 MiB, verified 5.0 MiB"),
        "{text}"
    );
    let status = reporter.status(&sample(3));
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(
        (&status["bytes_compared"], &status["bytes_verified"]),
        (&(3 << 20).into(), &(5 << 20).into())
    );
}

#[test]
fn nothing_expected_divides_by_nothing() {
    let sample = Sample {
        bytes_expected: 5,
        ..Sample::default()
    };
    assert_eq!(sample.remaining(), None);
    assert_eq!(Sample::default().done(), 0.0);
    assert_eq!(
        Sample {
            bytes: 9,
            bytes_expected: 5,
            ..sample
        }
        .done(),
        1.0
    );
}

#[test]
fn programs_choose_how_often() {
    let every = |variables: &[_], json, quiet| {
        interval(&terminal(json, quiet), &Env::fixed(variables)).map(|time| time.as_millis())
    };
    assert_eq!(every(&[], true, false), Some(1000));
    assert_eq!(
        every(&[("RESTIC_PROGRESS_FPS", "0.1")], true, false),
        Some(10_000)
    );
    assert_eq!(
        every(&[("LARDER_PROGRESS_FPS", "1000")], false, false),
        Some(16)
    );
    assert_eq!(
        every(&[("LARDER_PROGRESS_FPS", "no")], true, false),
        Some(1000)
    );
    assert_eq!(every(&[("LARDER_PROGRESS_FPS", "1")], true, true), None);
}

#[test]
fn status_messages_have_the_fields_of_restic() {
    let terminal = terminal(true, false);
    let reporter = Reporter::new(&terminal, &Env::fixed(&[]), Work::Backup);
    reporter.begin(Path::new("/a/b"));
    reporter.count(Counter::Bytes, 5);
    reporter.count(Counter::BytesExpected, 10);
    reporter.note(Note::Scanned {
        files: 1,
        bytes: 10,
        took: Duration::ZERO,
    });
    let sample = reporter
        .counters
        .sample(Duration::from_secs(5), &Sample::default());
    let status: serde_json::Value = serde_json::from_str(&reporter.status(&sample)).unwrap();
    assert_eq!(status["message_type"], "status");
    assert_eq!(status["percent_done"], 0.5);
    assert_eq!(status["seconds_remaining"], 5);
    assert_eq!(status["current_files"][0], "/a/b");
}

#[test]
fn totals_that_are_not_known_are_left_out() {
    let terminal = terminal(true, false);
    let status = |reporter: &Reporter<'_>| -> serde_json::Value {
        reporter.count(Counter::Bytes, 5);
        reporter.count(Counter::Nodes, 1);
        let counters = &reporter.counters;
        let sample = counters.sample(Duration::from_secs(5), &Sample::default());
        serde_json::from_str(&reporter.status(&sample)).unwrap()
    };
    let totals = ["percent_done", "total_files", "total_bytes"];
    for work in [Work::Backup, Work::Restore] {
        let unknown = status(&Reporter::new(&terminal, &Env::fixed(&[]), work));
        for field in totals {
            assert!(unknown.get(field).is_none(), "{field} in {unknown}");
        }
    }
    let known = Reporter::new(&terminal, &Env::fixed(&[]), Work::Restore).expecting(4, 20);
    known.count(Counter::BytesExpected, 7);
    let known = status(&known);
    assert_eq!(
        totals.map(|field| known[field].as_f64().unwrap()),
        [0.25, 4.0, 20.0]
    );
    assert_eq!(known["bytes_restored"], 5);
}
