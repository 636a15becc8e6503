//! What was measured: cells of the table, and the points of the plots. Each
//! program writes its part into `target/bench/parts`; `bench-report` puts them
//! together as `target/bench/report.json` and `report.html`.

use std::path::{Path, PathBuf};
use std::{fs, io};

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
    /// In `unit`.
    pub ours: f64,
    pub theirs: f64,
    pub unit: String,
}

/// A point of a line of a plot; without an axis, a bar.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Point {
    pub plot: String,
    #[serde(default)]
    pub axis: Option<String>,
    pub line: String,
    #[serde(default)]
    pub x: f64,
    pub y: f64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    pub cells: Vec<Cell>,
    pub points: Vec<Point>,
}

impl Cell {
    pub fn is_over(&self) -> bool {
        self.ratio > self.limit
    }
}

impl Report {
    pub fn add(&mut self, case: &str, size: usize, against: &str, limit: f64, ratio: Ratio) {
        self.add_in("ns", case, size, against, limit, ratio);
    }

    fn add_in(
        &mut self,
        unit: &str,
        case: &str,
        size: usize,
        against: &str,
        limit: f64,
        ratio: Ratio,
    ) {
        let cell = Cell {
            case: case.into(),
            size: size as u64,
            against: against.into(),
            ratio: ratio.median,
            limit,
            spread: ratio.spread,
            ours: ratio.ours,
            theirs: ratio.theirs,
            unit: unit.into(),
        };
        if !case.is_empty() {
            println!(
                "{:50} {:>6}  against {:15} {:6.3} (limit {:4.2}, spread {:5.3}, ours {:9.0} {}){}",
                cell.case,
                cell.size,
                cell.against,
                cell.ratio,
                cell.limit,
                cell.spread,
                cell.ours,
                cell.unit,
                if cell.is_over() { "  OVER" } else { "" }
            );
        }
        self.cells.push(cell);
    }

    /// So many a wait of what there shall be none.
    pub fn none(&mut self, case: &str, size: usize, against: &str, each: f64, unit: &str) {
        let ratio = Ratio { median: each, spread: 0.0, ours: each, theirs: 0.0 };
        self.add_in(unit, case, size, against, 0.0, ratio);
    }

    /// A point of a plot of costs in nanoseconds.
    pub fn point(&mut self, plot: &str, axis: &str, line: &str, x: f64, y: f64) {
        let (plot, axis, line) = (plot.into(), Some(axis.into()), line.into());
        self.points.push(Point { plot, axis, line, x, y });
    }

    pub fn bar(&mut self, plot: &str, line: &str, y: f64) {
        self.points.push(Point { plot: plot.into(), axis: None, line: line.into(), x: 0.0, y });
    }

    /// Leaves it for `bench-report`.
    pub fn write_part(&self, name: &str) -> io::Result<()> {
        let parts = folder().join("parts");
        fs::create_dir_all(&parts)?;
        fs::write(parts.join(format!("{name}.json")), serde_json::to_vec(self)?)
    }

    /// What all programs have left, by the names of the parts.
    pub fn read_parts() -> io::Result<Report> {
        let mut paths = fs::read_dir(folder().join("parts"))?
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        let mut all = Report::default();
        for path in paths {
            let part: Report = serde_json::from_slice(&fs::read(path)?)?;
            all.cells.extend(part.cells);
            all.points.extend(part.points);
        }
        Ok(all)
    }
}

/// Where reports go.
pub fn folder() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    root.join("target/bench")
}
