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
    assert_eq!(first.data_text(), "[0:02]  3 items, 10.0 MiB, 5.0 MiB/s");
    counters.bytes_expected.store(20 << 20, Ordering::Relaxed);
    counters.problems.store(1, Ordering::Relaxed);
    let unfinished = counters.sample(Duration::from_secs(2), &Sample::default());
    assert_eq!(
        unfinished.data_text(),
        "[0:02]  3 items, 10.0 MiB, 5.0 MiB/s, 1 error"
    );
    counters.all_expected.store(true, Ordering::Relaxed);
    let second = counters.sample(Duration::from_secs(2), &Sample::default());
    assert_eq!(
        second.data_text(),
        "[0:02] 50.0%  3 items, 10.0 MiB of 20.0 MiB, 5.0 MiB/s, ETA 0:02, 1 error"
    );
    let idle = counters.sample(Duration::from_secs(3), &second);
    assert_eq!(idle.rate, second.rate * 0.8);
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
        sample(2).data_text(),
        "[0:02]  0 items, 0 B, compared 3.0 MiB"
    );
    reporter.count(Counter::BytesVerified, 5 << 20);
    let text = sample(3).data_text();
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
