//! One picture for each case: lines along what was varied, or bars where nothing was. The values are
//! on a logarithmic axis, since they differ by orders of magnitude.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::number::short;
use crate::results::{Case, Series};

type Drawn = Result<(), Box<dyn Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const WIDTH: u32 = 900;
const GRID: RGBColor = RGBColor(225, 225, 225);
/// Ours first; told apart by those who see no red, too.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 90, 181),
    RGBColor(220, 50, 32),
    RGBColor(110, 110, 110),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(120, 70, 20),
];

/// Draws a case as an SVG file; nothing where it has no numbers.
pub(crate) fn draw(case: &Case, path: &Path) -> Drawn {
    let (quantity, along) = &case.chart;
    let shown: Vec<&Series> =
        case.series.iter().filter(|series| series.quantity == *quantity).collect();
    let lines: Vec<&Series> = shown.iter().copied().filter(|series| series.x.is_some()).collect();
    let Some(unit) = shown.first().map(|series| series.unit.clone()) else { return Ok(()) };
    let title = format!("{}. {}: {quantity}, in {unit}, logarithmic", case.letter, case.title);
    if lines.is_empty() { bars(&shown, &title, path) } else { curves(&lines, &title, along, path) }
}

/// The least and the greatest that is shown, with some room.
fn range(values: impl Iterator<Item = f64>) -> std::ops::Range<f64> {
    let positive = values.filter(|value| *value > 0.0);
    let (min, max) = positive
        .fold((f64::MAX, f64::MIN_POSITIVE), |(min, max), value| (min.min(value), max.max(value)));
    if min > max { 0.1..1.0 } else { min / 1.5..max * 1.5 }
}

fn subjects<'a>(shown: &[&'a Series]) -> Vec<&'a str> {
    let mut subjects: Vec<&str> = Vec::new();
    for series in shown {
        if !subjects.contains(&&*series.subject) {
            subjects.push(&series.subject);
        }
    }
    subjects
}

fn colour(subjects: &[&str], subject: &str) -> RGBColor {
    let at = subjects.iter().position(|known| *known == subject).unwrap_or(0);
    COLOURS[at % COLOURS.len()]
}

fn curves(shown: &[&Series], title: &str, along: &str, path: &Path) -> Drawn {
    let subjects = subjects(shown);
    let mut curves: Vec<(&str, &str)> = Vec::new();
    for series in shown {
        if !curves.contains(&(&series.subject, &series.family)) {
            curves.push((&series.subject, &series.family));
        }
    }
    let height = 460.max(180 + 22 * curves.len() as u32);
    let area = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE)?;
    let area = area.titled(title, ("sans-serif", 18))?;
    let (area, legend) = area.split_horizontally(WIDTH - 260);
    let x = range(shown.iter().filter_map(|series| series.x));
    let y = range(shown.iter().flat_map(|series| series.values.values().copied()));
    let mut chart = ChartBuilder::on(&area)
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(80)
        .build_cartesian_2d(x.log_scale(), y.log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .x_desc(along)
        .x_label_formatter(&|value| short(*value).trim_end_matches(".00").to_owned())
        .y_label_formatter(&|value| short(*value))
        .draw()?;
    for (at, (subject, family)) in curves.iter().enumerate() {
        let colour = colour(&subjects, subject);
        let same = |series: &&&Series| series.subject == *subject && series.family == *family;
        let nth = curves[..at].iter().filter(|(known, _)| known == subject).count();
        let style = colour.mix([1.0, 0.6, 0.35][nth % 3]).stroke_width(2);
        let points: Vec<(f64, f64)> = shown
            .iter()
            .filter(same)
            .filter_map(|series| Some((series.x?, series.spread()?.median)))
            .collect();
        chart.draw_series(LineSeries::new(points.iter().copied(), style))?;
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, style.filled())))?;
        let text =
            if family.is_empty() { (*subject).to_owned() } else { format!("{subject}, {family}") };
        let line = 20 + 20 * at as i32;
        legend.draw(&PathElement::new([(0, line), (18, line)], style))?;
        legend.draw(&Text::new(text, (24, line - 7), ("sans-serif", 13)))?;
    }
    legend.present()?;
    Ok(())
}

fn bars(shown: &[&Series], title: &str, path: &Path) -> Drawn {
    const BAR: i32 = 22;
    const TOP: i32 = 50;
    const LEFT: i32 = 330;
    let subjects = subjects(shown);
    let height = (TOP + BAR * shown.len() as i32 + 20) as u32;
    let area: Area<'_> = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE)?;
    area.draw(&Text::new(title.to_owned(), (12, 14), ("sans-serif", 18)))?;
    let medians: Vec<f64> =
        shown.iter().map(|s| s.spread().map_or(f64::NAN, |spread| spread.median)).collect();
    let range = range(medians.iter().copied());
    let (least, most) = (range.start.ln(), range.end.ln());
    let room = f64::from(WIDTH as i32 - LEFT - 110);
    for (at, (series, median)) in shown.iter().zip(medians).enumerate() {
        let top = TOP + BAR * at as i32;
        let share = if median > 0.0 { (median.ln() - least) / (most - least) } else { 0.0 };
        let right = LEFT + (room * share) as i32;
        let name = format!("{}, {}", series.setting, series.subject);
        area.draw(&Text::new(name, (12, top + 3), ("sans-serif", 13)))?;
        let fill = colour(&subjects, &series.subject).filled();
        area.draw(&Rectangle::new([(LEFT, top + 2), (right.max(LEFT + 1), top + BAR - 4)], fill))?;
        area.draw(&Text::new(short(median), (right.max(LEFT) + 6, top + 3), ("sans-serif", 13)))?;
    }
    area.present()?;
    Ok(())
}
