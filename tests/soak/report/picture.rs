//! What is it that one sees?

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::element::PathElement;
use plotters::prelude::{
    Cartesian2d, ChartBuilder, ChartContext, DrawingArea, IntoDrawingArea, LineSeries, RGBColor,
    SVGBackend, SeriesLabelPosition,
};
use plotters::style::{BLACK, Color, WHITE};

use super::Second;

const WIDTH: u32 = 1000;
const HEIGHT: u32 = 1100;
const BLUE: RGBColor = RGBColor(31, 119, 180);
const ORANGE: RGBColor = RGBColor(255, 127, 14);
const RED: RGBColor = RGBColor(200, 30, 40);
const GREEN: RGBColor = RGBColor(44, 140, 60);

type Line = (&'static str, RGBColor, fn(&Second) -> f64);

/// One chart a line, one above the other, with one time for all.
const CHARTS: [(&str, &[Line]); 5] = [
    (
        "requests a second",
        &[
            ("served", GREEN, |second| second.served),
            ("refused", ORANGE, |second| second.refused),
            ("failed", RED, |second| second.failed),
        ],
    ),
    (
        "request duration, ms",
        &[
            ("p50", BLUE, |second| second.p50),
            ("p99", RED, |second| second.p99),
        ],
    ),
    (
        "resident memory, MiB",
        &[("memory", BLUE, |second| second.memory_mib)],
    ),
    (
        "open",
        &[
            ("descriptors", BLUE, |second| second.descriptors),
            ("connections", GREEN, |second| second.connections),
            ("in flight", ORANGE, |second| second.in_flight),
        ],
    ),
    ("cores", &[("used", BLUE, |second| second.cores)]),
];

/// Draws a run.
pub(super) fn draw(
    file: &Path,
    name: &str,
    seconds: &[Second],
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let area = SVGBackend::new(file, (WIDTH, HEIGHT)).into_drawing_area();
    let drawn = (|| -> Result<(), Box<dyn Error>> {
        area.fill(&WHITE)?;
        let area = area.titled(name, ("sans-serif", 22))?;
        for (area, (title, lines)) in area.split_evenly((CHARTS.len(), 1)).iter().zip(CHARTS) {
            chart(area, title, lines, seconds)?;
        }
        area.present()?;
        Ok(())
    })();
    drawn.map_err(|error| error.to_string().into())
}

fn chart(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    title: &str,
    lines: &[Line],
    seconds: &[Second],
) -> Result<(), Box<dyn Error>> {
    let last = seconds.last().map_or(1.0, |second| second.at);
    let values = lines.iter().flat_map(|(_, _, of)| seconds.iter().map(*of));
    let most = values.fold(0.0, f64::max).max(1e-3) * 1.1;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 15))
        .margin(6)
        .x_label_area_size(22)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..last, 0.0..most)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_label_formatter(&|seconds| format!("{seconds:.0} s"))
        .draw()?;
    for line in lines {
        one(&mut chart, line, seconds)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.2))
        .draw()?;
    Ok(())
}

fn one<'a>(
    chart: &mut ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>,
    (name, colour, of): &Line,
    seconds: &[Second],
) -> Result<(), Box<dyn Error>> {
    let (colour, points) = (
        *colour,
        seconds.iter().map(|second| (second.at, of(second))),
    );
    chart
        .draw_series(LineSeries::new(points, &colour))?
        .label(*name)
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
    Ok(())
}

/// A page with all pictures of a folder.
pub(super) fn page(folder: &Path) -> io::Result<()> {
    let mut names = Vec::new();
    for file in std::fs::read_dir(folder)? {
        let name = file?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".svg").map(str::to_owned));
    }
    names.sort();
    let mut page = "<!doctype html><meta charset=\"utf-8\"><title>Soak</title>\n".to_owned();
    for name in names {
        let _ = writeln!(
            page,
            "<p><img src=\"{name}.svg\" alt=\"{name}\"> <a href=\"{name}.csv\">{name}.csv</a>"
        );
    }
    std::fs::write(folder.join("index.html"), page)
}
