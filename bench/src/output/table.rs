//! The tables of a case: one for each quantity.

use super::number::short;
use crate::driver::OURS;
use crate::results::{Case, Series, ratio};

/// One row of a table.
pub(crate) struct Row {
    pub(crate) setting: String,
    pub(crate) subject: String,
    pub(crate) min: String,
    pub(crate) median: String,
    pub(crate) max: String,
    /// Ours being 1.
    pub(crate) ratio: String,
}

/// Each quantity with its rows, in the order in which they were measured.
pub(crate) fn tables(case: &Case) -> Vec<(String, Vec<Row>)> {
    let mut tables: Vec<(String, Vec<Row>)> = Vec::new();
    for series in &case.series {
        let title = match &*series.unit {
            "1" => series.quantity.clone(),
            unit => format!("{}, in {unit}", series.quantity),
        };
        let row = row(case, series);
        match tables.iter_mut().find(|(known, _)| *known == title) {
            Some((_, rows)) => rows.push(row),
            None => tables.push((title, vec![row])),
        }
    }
    for (_, rows) in &mut tables {
        // Together what was measured in one setting, which a stable sort leaves in its order.
        let mut settings: Vec<String> = Vec::new();
        for row in &*rows {
            if !settings.contains(&row.setting) {
                settings.push(row.setting.clone());
            }
        }
        rows.sort_by_key(|row| settings.iter().position(|known| *known == row.setting));
    }
    tables
}

fn row(case: &Case, series: &Series) -> Row {
    let spread = series.spread();
    let told = |of: fn(crate::results::Spread) -> f64| {
        spread.map_or_else(|| "–".to_owned(), |spread| short(of(spread)))
    };
    let ours = case.find(&series.setting, OURS, &series.quantity);
    let ratio = ours.and_then(|ours| ratio(series, ours));
    Row {
        setting: series.setting.clone(),
        subject: series.subject.clone(),
        min: told(|spread| spread.min),
        median: told(|spread| spread.median),
        max: told(|spread| spread.max),
        ratio: ratio.map_or_else(|| "–".to_owned(), short),
    }
}

/// Shows a case on the terminal.
pub(crate) fn print(case: &Case) {
    println!("\n{}. {}", case.letter, case.title);
    for (title, rows) in tables(case) {
        println!("\n  {title}");
        println!(
            "  {:<34} {:<26} {:>12} {:>12} {:>12} {:>10}",
            "", "", "min", "median", "max", "ours = 1"
        );
        let mut before = "";
        for row in &rows {
            let setting = if row.setting == before { "" } else { &row.setting };
            println!(
                "  {setting:<34} {:<26} {:>12} {:>12} {:>12} {:>10}",
                row.subject, row.min, row.median, row.max, row.ratio
            );
            before = &row.setting;
        }
    }
    if !case.targets.is_empty() {
        println!("\n  targets");
    }
    for target in &case.targets {
        let measured = target.measured.map_or_else(|| "–".to_owned(), short);
        let bound = if target.is_least { "at least" } else { "at most" };
        println!(
            "  {:<12} {}: {measured} {}, wanted {bound} {}",
            target.verdict(),
            target.text,
            target.unit,
            short(target.wanted)
        );
    }
}
