//! Prints what was measured: the median of each tool, and behind it the ratio of larder to it.

use crate::tools::SHOWN;
use crate::{Results, Sample, Sequence};

/// Prints a table of each measure.
pub fn print(results: &[Results]) {
    let Some((larder, peers)) = results.split_first() else {
        return;
    };
    println!(
        "\nMedians of {} runs; × is larder's share of the tool's.",
        larder.runs.len()
    );
    head("wall seconds", peers);
    steps(larder, peers, 1.0, &|sample| sample.wall_seconds);
    head("CPU seconds", peers);
    steps(larder, peers, 1.0, &|sample| sample.cpu_seconds);
    head("peak MiB", peers);
    steps(larder, peers, 1.0 / f64::from(1 << 20), &|sample| {
        sample.peak_bytes
    });
    head("repository MB", peers);
    row("tree", larder, peers, 1e-6, &|run| {
        Some(run.tree_repository_bytes as f64)
    });
    row("dump, twice", larder, peers, 1e-6, &|run| {
        Some(run.dump_repository_bytes as f64)
    });
}

fn head(what: &str, peers: &[Results]) {
    print!("\n{what:18} {:>9}", "larder");
    peers
        .iter()
        .for_each(|peer| print!(" {:>18}", peer.tool.name));
    println!();
}

fn steps(larder: &Results, peers: &[Results], unit: f64, measure: &dyn Fn(&Sample) -> f64) {
    for (step, name) in SHOWN {
        row(name, larder, peers, unit, &|run| {
            run.sample(step).map(measure)
        });
    }
}

fn row(
    name: &str,
    larder: &Results,
    peers: &[Results],
    unit: f64,
    measure: &dyn Fn(&Sequence) -> Option<f64>,
) {
    let own: Vec<Option<f64>> = larder.runs.iter().map(measure).collect();
    print!(
        "{name:18} {:>9}",
        shown(median(own.iter().flatten().copied()), unit)
    );
    for peer in peers {
        let values: Vec<Option<f64>> = peer.runs.iter().map(measure).collect();
        let ratios = own
            .iter()
            .zip(&values)
            .filter_map(|(a, b)| Some((*a)? / (*b)?));
        let ratio = median(ratios).map_or(String::new(), |ratio| format!("{ratio:6.2}×"));
        let value = shown(median(values.iter().flatten().copied()), unit);
        print!(" {value:>10} {ratio:>7}");
    }
    println!();
}

fn shown(value: Option<f64>, unit: f64) -> String {
    value.map_or("–".to_owned(), |value| format!("{:.2}", value * unit))
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        _ if sorted.is_empty() => None,
        1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}
