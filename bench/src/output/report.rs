//! docs/benchmarks.md, as a file of results says.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Result, anyhow};

use super::chart;
use super::number::short;
use super::table::tables;
use crate::results::{Case, Run, Target};

/// Why ours misses some targets: written by hand, from profiles.
const MISSES: &str = include_str!("../../misses.md");

/// Writes the document, and its pictures beside it.
pub(crate) fn write_report(run: &Run, document: &Path) -> Result<()> {
    let pictures = document.with_extension("");
    fs::create_dir_all(&pictures)?;
    let mut text = String::new();
    head(&mut text, run)?;
    targets(&mut text, run)?;
    writeln!(text, "\n{}", MISSES.trim_end())?;
    for case in &run.cases {
        let picture = format!("{}.svg", case.letter);
        chart::draw(case, &pictures.join(&picture)).map_err(|error| anyhow!("{error}"))?;
        let folder = pictures.file_name().unwrap_or_default().to_string_lossy();
        chapter(&mut text, case, &format!("{folder}/{picture}"))?;
    }
    fs::write(document, text)?;
    Ok(())
}

fn head(text: &mut String, run: &Run) -> Result<()> {
    let machine = &run.machine;
    writeln!(text, "# Benchmarks\n")?;
    paragraph(
        text,
        "`cargo xtask bench` measures all of this, and `cargo xtask bench report` wrote this page from \
         what it left in a file. Each case was measured in several rounds, ours and the others in \
         turn, with the end states compared. Of each quantity the table gives the least, the median \
         and the greatest, and the median of its ratio to ours within the same round.",
    );
    paragraph(
        text,
        "Keys have 14 bytes, values 64 bytes of JSON. Everything ran on one machine, over its \
         loopback: read the ratios. The original runs on one thread, and so does each of its ends; \
         an end of ours uses as many as it likes.",
    );
    writeln!(text, "| | |\n|---|---|")?;
    let mut line = |name: &str, value: &str| writeln!(text, "| {name} | {value} |");
    line(
        "machine",
        &format!("{}, {} cores, {} GiB", machine.cpu, machine.cores, machine.memory_gib),
    )?;
    line("kernel", &machine.kernel)?;
    line("load before", &machine.load)?;
    line("commit", &machine.commit)?;
    line("date", &machine.date)?;
    line("sizes", &run.scale)?;
    line("rounds", &run.rounds.to_string())?;
    for (name, version) in &machine.versions {
        line(name, version)?;
    }
    Ok(())
}

fn targets(text: &mut String, run: &Run) -> Result<()> {
    let all: Vec<(&Case, &Target)> =
        run.cases.iter().flat_map(|case| case.targets.iter().map(move |t| (case, t))).collect();
    let count = |met: Option<bool>| all.iter().filter(|(_, target)| target.is_met() == met).count();
    writeln!(
        text,
        "\n## Targets\n\n{} met, {} missed, {} not measured in this run.\n\n\
         | case | target | wanted | measured | |\n|---|---|---|---|---|",
        count(Some(true)),
        count(Some(false)),
        count(None)
    )?;
    for (case, target) in all {
        let bound = if target.is_least { "at least" } else { "at most" };
        let measured = target.measured.map_or_else(|| "–".to_owned(), short);
        writeln!(
            text,
            "| {} | {} | {bound} {} {} | {measured} {} | {} |",
            case.letter,
            target.text,
            short(target.wanted),
            target.unit,
            target.unit,
            target.verdict()
        )?;
    }
    Ok(())
}

fn chapter(text: &mut String, case: &Case, picture: &str) -> Result<()> {
    writeln!(text, "\n## {}. {}\n", case.letter, case.title)?;
    for each in &case.method {
        paragraph(text, each);
    }
    writeln!(text, "![{}: {}]({picture})", case.title, case.chart.0)?;
    for (title, rows) in tables(case) {
        writeln!(
            text,
            "\n| {title} | | min | median | max | ours = 1 |\n|---|---|--:|--:|--:|--:|"
        )?;
        for row in rows {
            writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} |",
                row.setting, row.subject, row.min, row.median, row.max, row.ratio
            )?;
        }
    }
    if !case.notes.is_empty() {
        writeln!(text)?;
    }
    for note in &case.notes {
        writeln!(text, "- {note}")?;
    }
    Ok(())
}

/// Lines as long as those of the other documents.
fn paragraph(text: &mut String, words: &str) {
    const COLUMNS: usize = 100;
    let mut column = 0;
    for word in words.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > COLUMNS {
            text.push('\n');
            column = 0;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push_str("\n\n");
}
