//! The plots of the report, as SVG and HTML.

use std::fmt::Write as _;

use plotters::prelude::*;

use crate::report::{Point, Report};

/// All plots, in the order in which they were measured.
pub fn all(report: &Report) -> String {
    let mut names: Vec<&str> = Vec::new();
    for point in &report.points {
        if !names.contains(&point.plot.as_str()) {
            names.push(&point.plot);
        }
    }
    let mut page = String::new();
    for name in names {
        let points: Vec<&Point> = report.points.iter().filter(|one| one.plot == name).collect();
        let _ = write!(page, "<figure><figcaption>{name}</figcaption>");
        match points.iter().find_map(|point| point.axis.as_deref()) {
            Some(axis) => page.push_str(&lines(axis, &points)),
            None => page.push_str(&bars(&points)),
        }
        page.push_str("</figure>\n");
    }
    page
}

/// A number that a person can read.
fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{:.3}M", value / 1e6),
        value if value >= 1e4 => format!("{:.1}k", value / 1e3),
        value if value >= 10.0 => format!("{value:.0}"),
        value => format!("{value:.2}"),
    }
}

fn bars(points: &[&Point]) -> String {
    let most = points.iter().map(|point| point.y).fold(0.0, f64::max);
    let mut table = String::from("<table class=bars>");
    for point in points {
        let _ = write!(
            table,
            "<tr><td>{}<td><div style='width:{:.1}%'></div><td>{}",
            point.line,
            100.0 * point.y / most,
            short(point.y)
        );
    }
    table + "</table>"
}

/// A line for each name, both axes logarithmic.
fn lines(axis: &str, points: &[&Point]) -> String {
    let mut lines: Vec<(&str, Vec<(f64, f64)>)> = Vec::new();
    for point in points {
        let at = (point.x, point.y.max(1.0));
        match lines.iter_mut().find(|(line, _)| *line == point.line) {
            Some((_, points)) => points.push(at),
            None => lines.push((&point.line, vec![at])),
        }
    }
    let x = || points.iter().map(|point| point.x);
    let y = || points.iter().map(|point| point.y.max(1.0));
    let (most, high) = (x().fold(1.0, f64::max), y().fold(1.0, f64::max));
    let low = y().fold(f64::MAX, f64::min);
    let mut svg = String::new();
    let drawn = draw(&mut svg, axis, &lines, 0.8..most * 1.25, low / 1.5..high * 1.5);
    // A plot that cannot be drawn says so in its place.
    drawn.map_or_else(|error| error.to_string(), |()| svg)
}

fn draw(
    svg: &mut String,
    axis: &str,
    lines: &[(&str, Vec<(f64, f64)>)],
    x: std::ops::Range<f64>,
    y: std::ops::Range<f64>,
) -> Result<(), Box<dyn std::error::Error>> {
    const NAMES: u32 = 190;
    let area = SVGBackend::with_string(svg, (920, 400)).into_drawing_area();
    let (left, right) = area.split_horizontally(920 - NAMES);
    let mut chart = ChartBuilder::on(&left)
        .margin(8)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(x.log_scale(), y.log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc(axis)
        .x_label_formatter(&|x| short(*x))
        .y_label_formatter(&|y| short(*y))
        .label_style(("sans-serif", 13))
        .draw()?;
    for (nth, (line, points)) in lines.iter().enumerate() {
        let color = Palette99::pick(nth).mix(1.0);
        // Lines that lie on each other are told apart by their marks.
        let size = 7 - (nth as i32 % 4) * 2;
        let path = LineSeries::new(points.iter().copied(), color.stroke_width(2));
        chart.draw_series(path)?;
        chart.draw_series(points.iter().map(|at| Circle::new(*at, size, color.stroke_width(2))))?;
        let at = (8, 24 + 22 * nth as i32);
        right.draw(&Circle::new((at.0 + 8, at.1), size, color.stroke_width(2)))?;
        right.draw(&PathElement::new(
            vec![(at.0, at.1), (at.0 + 16, at.1)],
            color.stroke_width(2),
        ))?;
        right.draw(&Text::new((*line).to_owned(), (at.0 + 24, at.1 - 7), ("sans-serif", 14)))?;
    }
    area.present()?;
    Ok(())
}
