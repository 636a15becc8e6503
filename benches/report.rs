//! `target/bench/report.json` and `report.html`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use plotters::prelude::*;
use serde::{Deserialize, Serialize};

use crate::measure::Ratio;

/// One comparison.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cell {
    pub case: String,
    pub size: u64,
    pub against: String,
    /// Ours over theirs: the median of paired runs, under 1 is better.
    pub ratio: f64,
    pub limit: f64,
    /// The distance of the quartiles of those runs.
    pub spread: f64,
    /// Ours, in `unit`, for the plots.
    pub ours: f64,
    pub unit: String,
}

#[derive(Default)]
pub struct Report {
    pub cells: Vec<Cell>,
}

impl Report {
    pub fn add(&mut self, case: &str, size: usize, against: &str, limit: f64, ratio: Ratio) {
        self.cell(Cell {
            case: case.into(),
            size: size as u64,
            against: against.into(),
            ratio: ratio.median,
            limit,
            spread: ratio.spread,
            ours: ratio.nanos,
            unit: "ns".into(),
        });
    }

    pub fn cell(&mut self, cell: Cell) {
        let verdict = if cell.ratio <= cell.limit { "" } else { "  OVER" };
        println!(
            "{:46} {:>6}  against {:22} {:6.3} (limit {:5.2}, spread {:5.3}, ours {:9.0} {}){verdict}",
            cell.case,
            cell.size,
            cell.against,
            cell.ratio,
            cell.limit,
            cell.spread,
            cell.ours,
            cell.unit
        );
        self.cells.push(cell);
    }

    pub fn write(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("report.json"), serde_json::to_string_pretty(&self.cells)?)?;
        fs::write(folder.join("report.html"), self.html())
    }

    fn html(&self) -> String {
        let over = self.cells.iter().filter(|cell| cell.ratio > cell.limit).count();
        let mut page = String::from(HEAD);
        let _ = writeln!(
            page,
            "<p>{} comparisons, {over} over their limit. A ratio is ours over theirs, the median \
             of paired runs; under 1 is better. The spread is the distance of the quartiles.</p>",
            self.cells.len()
        );
        for (title, prefix) in PLOTS {
            page.push_str(&self.plot(title, prefix));
        }
        page.push_str("<table><tr><th>case<th>size<th>against<th>ratio<th>limit<th>spread<th>ours");
        for cell in &self.cells {
            let class = if cell.ratio > cell.limit { " class=over" } else { "" };
            let _ = write!(
                page,
                "<tr{class}><td>{}<td>{}<td>{}<td>{:.3}<td>{:.2}<td>{:.3}<td>{:.0} {}",
                cell.case,
                cell.size,
                cell.against,
                cell.ratio,
                cell.limit,
                cell.spread,
                cell.ours,
                cell.unit
            );
        }
        page.push_str("</table>\n");
        page
    }

    /// Cost against size, a line a case.
    fn plot(&self, title: &str, prefix: &str) -> String {
        let mut lines: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
        for cell in self.cells.iter().filter(|cell| cell.case.starts_with(prefix)) {
            let point = ((cell.size as f64).max(1.0), cell.ours.max(0.1));
            match lines.iter_mut().find(|(case, _)| *case == cell.case) {
                Some((_, points)) if points.last().is_some_and(|last| last.0 == point.0) => {}
                Some((_, points)) => points.push(point),
                None => lines.push((cell.case.clone(), vec![point])),
            }
        }
        let points = || lines.iter().flat_map(|(_, points)| points);
        let Some(most) = points().map(|(x, _)| *x).reduce(f64::max) else { return String::new() };
        let high = points().map(|(_, y)| *y).fold(1.0, f64::max) * 2.0;
        let low = points().map(|(_, y)| *y).fold(f64::MAX, f64::min) / 2.0;
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, (900, 420)).into_drawing_area();
            let chart = ChartBuilder::on(&area)
                .caption(title, ("sans-serif", 18))
                .margin(10)
                .x_label_area_size(40)
                .y_label_area_size(80)
                .build_cartesian_2d((1.0..most.max(2.0)).log_scale(), (low..high).log_scale());
            let Ok(mut chart) = chart else { return String::new() };
            let _ = chart.configure_mesh().x_desc("registered").y_desc("cost").draw();
            for (nth, (case, points)) in lines.iter().enumerate() {
                let color = Palette99::pick(nth).mix(1.0);
                let line = LineSeries::new(points.iter().copied(), color.stroke_width(2));
                if let Ok(series) = chart.draw_series(line.point_size(3)) {
                    series.label(case.clone()).legend(move |(x, y)| {
                        PathElement::new(vec![(x, y), (x + 16, y)], color.stroke_width(2))
                    });
                }
            }
            let _ = chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperLeft)
                .border_style(BLACK.mix(0.3))
                .background_style(WHITE.mix(0.8))
                .draw();
            let _ = area.present();
        }
        svg
    }
}

/// A plot's title, and what its cases begin with.
const PLOTS: [(&str, &str); 6] = [
    ("A wait on Epoll, ns", "Epoll::wait"),
    ("A poll of Poll, ns", "Poll::poll"),
    ("A select, ns", "select"),
    ("A round of the Selector: write, wait, read, ns", "Selector, "),
    ("Registering, ns", "register"),
    ("WebAssembly: guest instructions or ns a wait", "WASI"),
];

const HEAD: &str = "<!doctype html><meta charset=utf-8><title>readiness: benchmarks</title>
<style>body{font:15px/1.4 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}
table{border-collapse:collapse}td,th{padding:.2em .7em;text-align:right;border-bottom:1px solid #ddd}
td:first-child,td:nth-child(3),th:first-child{text-align:left}.over{background:#fdd}</style>
<h1>readiness beside the raw calls and its peers</h1>
";

/// Where reports go.
pub fn folder() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    root.join("target/bench")
}
