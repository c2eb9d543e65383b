//! What each fault does.

use super::*;
use crate::backend::MemoryBackend;
use crate::backend::conformance::{self, names};
use std::time::Instant;

const EIO: Fault = Fault::Before(io::ErrorKind::Other);
const FULL: Fault = Fault::Before(io::ErrorKind::StorageFull);

fn place() -> (MemoryBackend, Arc<dyn Backend>) {
    let place = MemoryBackend::new();
    place.put("data/1", b"1234").unwrap();
    place.put("log/1", b"5678").unwrap();
    (place.clone(), Arc::new(place))
}

#[test]
fn conforms_without_rules() {
    conformance::run(|| Box::new(Faults::new(Arc::new(MemoryBackend::new()))));
}

#[test]
fn a_rule_strikes_the_calls_it_means() {
    let (_, inner) = place();
    let rule = Rule::new(EIO)
        .on(&[Operation::Get])
        .kind("data")
        .after(1)
        .times(2);
    let faults = Faults::new(inner).rule(rule);
    let mut outcomes = Vec::new();
    for _ in 0..5 {
        faults.get("log/1").unwrap();
        faults.size("data/1").unwrap();
        outcomes.push(faults.get("data/1").map_err(|error| error.kind()).is_ok());
    }
    assert_eq!(outcomes, [true, false, false, true, true]);
    assert_eq!(
        (faults.calls(), faults.writes(), faults.struck()),
        (15, 0, 2)
    );
}

#[test]
fn effects_come_before_a_lost_answer_and_not_after_a_failure() {
    let (place, inner) = place();
    let lost = Fault::After(io::ErrorKind::TimedOut);
    let faults = Faults::new(inner)
        .rule(Rule::write(FULL))
        .rule(Rule::write(lost).after(1));
    assert_eq!(
        faults.put("data/2", b"x").unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    assert_eq!(place.size("data/2").unwrap(), None);
    assert!(faults.put_if_absent("data/3", b"x").is_err());
    assert_eq!(place.get("data/3").unwrap(), b"x");
    faults.delete("data/3").unwrap();
    assert_eq!(place.size("data/3").unwrap(), None);
}

#[test]
fn after_a_crash_nothing_works() {
    for (before, stored) in [(true, 1), (false, 2)] {
        let (place, inner) = place();
        let faults = match before {
            true => Faults::crash_before(inner, 1),
            false => Faults::crash_after(inner, 1),
        };
        faults.put("new/1", b"").unwrap();
        assert!(!faults.crashed());
        assert_eq!(
            faults.put("new/2", b"").unwrap_err().kind(),
            ErrorKind::Interrupted
        );
        assert!(faults.crashed());
        assert_eq!(
            faults.get("data/1").unwrap_err().kind(),
            ErrorKind::Interrupted
        );
        assert_eq!(
            faults.put("new/3", b"").unwrap_err().kind(),
            ErrorKind::Interrupted
        );
        let new = place
            .objects()
            .into_keys()
            .filter(|name| name.starts_with("new"))
            .count();
        assert_eq!(new, stored);
    }
}

#[test]
fn reads_lie_on_demand() {
    let (_, inner) = place();
    let read = |fault| Faults::new(inner.clone()).rule(Rule::new(fault).times(u64::MAX));
    assert_eq!(read(Fault::Truncated).get("data/1").unwrap(), b"12");
    assert_eq!(
        read(Fault::Truncated).get_range("data/1", 2, 2).unwrap(),
        b"3"
    );
    assert_eq!(read(Fault::Flipped).get("data/1").unwrap(), b"1224");
    let absent = read(Fault::Absent);
    assert_eq!(
        absent.get("data/1").unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        absent.get_range("data/1", 0, 1).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(absent.size("data/1").unwrap(), None);
    assert!(names(&absent, "").is_empty());
    assert_eq!(names(&read(Fault::Truncated), "").len(), 1);
}

#[test]
fn writes_lie_on_demand() {
    let (place, inner) = place();
    let faults = Faults::new(inner.clone()).rule(Rule::new(Fault::Ignored).times(3));
    faults.delete("data/1").unwrap();
    faults.put("data/2", b"x").unwrap();
    assert_eq!(faults.put_if_absent("data/3", b"x").unwrap(), Put::Created);
    assert_eq!(place.objects().len(), 2);
    faults.delete("data/1").unwrap();
    assert_eq!(place.objects().len(), 1);

    let torn = Faults::new(inner).rule(Rule::new(Fault::Torn).times(2));
    assert_eq!(
        torn.put("data/4", b"1234").unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    assert_eq!(place.get("data/4").unwrap(), b"12");
    assert!(torn.put_if_absent("log/2", b"1234").is_err());
    assert_eq!(place.get("log/2").unwrap(), b"12");
}

#[test]
fn a_seed_fixes_the_faults() {
    let run = |seed| {
        let (_, inner) = place();
        let faults =
            Faults::new(inner).odds(Odds::new(seed).with(EIO, 150).with(Fault::Flipped, 150));
        let outcomes: Vec<_> = (0..100).map(|_| faults.get("data/1").ok()).collect();
        (outcomes, faults.struck())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    assert!((15..=45).contains(&run(1).1), "{}", run(1).1);
}

#[test]
fn calm_ends_the_faults_but_no_crash() {
    let (_, inner) = place();
    let faults = Faults::new(inner.clone()).rule(Rule::new(EIO).times(u64::MAX));
    assert!(faults.get("data/1").is_err());
    faults.calm();
    faults.get("data/1").unwrap();
    let crashed = Faults::crash_before(inner, 0);
    crashed.delete("data/1").unwrap_err();
    crashed.calm();
    assert!(crashed.get("data/1").is_err());
}

#[test]
fn a_create_that_took_effect_is_refused() {
    let (place, inner) = place();
    let faults = Faults::new(inner).rule(Rule::new(Fault::Refused).times(2));
    assert_eq!(faults.put_if_absent("data/2", b"x").unwrap(), Put::Exists);
    assert_eq!(place.get("data/2").unwrap(), b"x");
    assert_eq!(faults.put_if_absent("data/1", b"x").unwrap(), Put::Exists);
    assert_eq!(place.get("data/1").unwrap(), b"1234");
}

#[test]
fn a_listing_breaks_off_with_an_error() {
    let (_, inner) = place();
    let faults = Faults::new(inner).rule(Rule::new(Fault::BrokenOff));
    let mut told = Vec::new();
    let mut each = |listed: Listed| {
        told.push(listed.name);
        Ok(())
    };
    let error = faults.list("", &mut each).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(told, ["data/1"]);
    assert_eq!(names(&faults, "").len(), 2);
}

#[test]
fn a_disk_that_fails_reads_nothing_and_may_have_written() {
    let (place, inner) = place();
    let faults = Faults::new(inner).odds(Odds::new(1).with(Fault::Eio, 1000));
    assert!(faults.get("data/1").unwrap_err().is_unreadable());
    let mut stored = 0;
    for n in 0..20 {
        let name = format!("data/new{n}");
        assert!(faults.put(&name, b"x").unwrap_err().is_unreadable());
        stored += usize::from(place.size(&name).unwrap().is_some());
    }
    assert!((1..20).contains(&stored), "{stored}");
}

#[test]
fn slow_calls_take_their_time_and_say_nothing() {
    let (_, inner) = place();
    let wait = Duration::from_millis(30);
    let faults = Faults::new(inner).rule(Rule::new(Fault::Slow(wait)));
    let begun = Instant::now();
    assert_eq!(faults.get("data/1").unwrap(), b"1234");
    assert!(begun.elapsed() >= wait);
}

#[test]
fn whoever_listens_hears_of_each_fault() {
    let (_, inner) = place();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = heard.clone();
    let faults = Faults::new(inner)
        .rule(Rule::new(EIO).on(&[Operation::Get]))
        .notifying(move |operation, name, fault| {
            listener
                .lock()
                .unwrap()
                .push((operation, name.to_owned(), fault));
        });
    faults.size("data/1").unwrap();
    faults.get("data/1").unwrap_err();
    assert_eq!(
        *heard.lock().unwrap(),
        [(Operation::Get, "data/1".to_owned(), EIO)]
    );
}
