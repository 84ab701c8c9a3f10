//! A picture of a run: how far each node was behind, the bytes, and what happened when, over one
//! axis of time.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use scuttlebutt_sim::{Report, Timeline};

/// What can happen, from top to bottom.
const KINDS: [&str; 10] = [
    "cut",
    "stall",
    "half-open link",
    "leave",
    "restart",
    "disk set back",
    "disk copied",
    "node lost",
    "clock jump",
    "calm",
];

const SIZE: (u32, u32) = (1_000, 760);
const MARGIN: u32 = 12;
const LABELS: u32 = 90;
const GRID: RGBColor = RGBColor(225, 225, 225);
const AFTER_CALM: RGBColor = RGBColor(120, 120, 120);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn Error>>;

/// Draws a run whose account was kept as an SVG file.
pub(crate) fn draw(report: &Report, path: &Path) -> Drawn {
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let scenario = &report.scenario;
    let area = area.titled(
        &format!(
            "seed {}: {} nodes, {:?}, {:?}",
            scenario.seed, scenario.nodes, scenario.topology, scenario.model
        ),
        ("sans-serif", 20),
    )?;
    let (top, rest) = area.split_vertically(320);
    let (middle, bottom) = rest.split_vertically(200);
    let end_ms = report.virtual_ms as f64;
    staleness(&top, &report.timeline, end_ms)?;
    bytes(&middle, &report.timeline, end_ms)?;
    happenings(&bottom, &report.timeline, end_ms)?;
    area.present()?;
    Ok(())
}

fn staleness(area: &Area<'_>, timeline: &Timeline, end_ms: f64) -> Drawn {
    let most = timeline.samples.iter().flat_map(|sample| &sample.behind).flatten().max();
    let top = most.copied().unwrap_or(0).max(1) as f64 * 1.05;
    let mut chart = panel(area, "updates behind, one line per node", timeline, end_ms, top)?;
    let nodes = timeline.samples.first().map_or(0, |sample| sample.behind.len());
    for node in 0..nodes {
        let colour = HSLColor(node as f64 / nodes as f64, 0.7, 0.42);
        // While it is down there is no line.
        for present in
            timeline.samples.chunk_by(|a, b| a.behind[node].is_some() == b.behind[node].is_some())
        {
            let points: Vec<(f64, u64)> = present
                .iter()
                .filter_map(|sample| Some((sample.at_ms, sample.behind[node]?)))
                .collect();
            let corners = points.chunk_by(|a, b| a.1 == b.1).flat_map(|level| {
                [level.first(), level.last()].into_iter().flatten().map(|(at, y)| (*at, *y as f64))
            });
            chart.draw_series(LineSeries::new(corners, colour.stroke_width(1)))?;
        }
    }
    Ok(())
}

fn bytes(area: &Area<'_>, timeline: &Timeline, end_ms: f64) -> Drawn {
    let sent: Vec<(f64, f64)> = timeline
        .samples
        .windows(2)
        .map(|pair| (pair[1].at_ms, (pair[1].sent - pair[0].sent) as f64))
        .collect();
    let in_flight = timeline.samples.iter().map(|sample| (sample.at_ms, sample.in_flight as f64));
    let most = in_flight.clone().chain(sent.iter().copied()).map(|(_, bytes)| bytes);
    let top = most.fold(1.0, f64::max) * 1.05;
    let caption = format!("bytes: on the way (red), sent in each {} ms (blue)", Timeline::STEP_MS);
    let mut chart = panel(area, &caption, timeline, end_ms, top)?;
    chart.draw_series(LineSeries::new(sent, BLUE.mix(0.7)))?;
    chart.draw_series(LineSeries::new(in_flight, &RED))?;
    Ok(())
}

fn happenings(area: &Area<'_>, timeline: &Timeline, end_ms: f64) -> Drawn {
    let rows = KINDS.len() as i32;
    let row_of = |kind: &str| KINDS.iter().zip((1..=rows).rev()).find(|(known, _)| **known == kind);
    let name = |row: &i32| {
        let named = KINDS.iter().zip((1..=rows).rev()).find(|(_, known)| known == row);
        named.map_or_else(String::new, |(name, _)| (*name).to_owned())
    };
    let mut chart = ChartBuilder::on(area)
        .margin(MARGIN)
        .x_label_area_size(36)
        .y_label_area_size(LABELS)
        .build_cartesian_2d(0.0..end_ms, 0..rows + 1)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .x_label_formatter(&|ms| format!("{ms:.0}"))
        .x_desc("virtual milliseconds")
        .y_labels(KINDS.len() + 2)
        .y_label_formatter(&name)
        .draw()?;
    let dots = timeline.marks.iter().filter_map(|(at_ms, kind)| Some((*at_ms, row_of(kind)?.1)));
    chart.draw_series(dots.map(|at| Circle::new(at, 3, BLACK.mix(0.6).filled())))?;
    Ok(())
}

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// A chart over time from zero to `top`, with a line where the faults stop.
fn panel<'a, 'b>(
    area: &'a Area<'b>,
    caption: &str,
    timeline: &Timeline,
    end_ms: f64,
    top: f64,
) -> Result<Chart<'a, 'b>, Box<dyn Error>>
where
    'b: 'a,
{
    let mut chart = ChartBuilder::on(area)
        .caption(caption, ("sans-serif", 15))
        .margin(MARGIN)
        .x_label_area_size(20)
        .y_label_area_size(LABELS)
        .build_cartesian_2d(0.0..end_ms, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .x_label_formatter(&|ms| format!("{ms:.0}"))
        .y_label_formatter(&|value| format!("{value:.0}"))
        .draw()?;
    let calm = timeline.marks.iter().filter(|(_, kind)| *kind == "calm");
    chart.draw_series(
        calm.map(|(at_ms, _)| PathElement::new([(*at_ms, 0.0), (*at_ms, top)], AFTER_CALM)),
    )?;
    Ok(chart)
}
