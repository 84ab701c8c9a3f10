//! What a run has measured: numbers, ratios within a round, and targets. No opinions but those.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::driver::Machine;

/// One run of the benchmarks.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) machine: Machine,
    /// The sizes it was made with.
    pub(crate) scale: String,
    pub(crate) rounds: usize,
    pub(crate) cases: Vec<Case>,
}

/// What is measured: its name, its unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quantity {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
}

/// Where something is measured: its name, and where it stands along the chart, if anywhere.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) name: String,
    pub(crate) x: Option<f64>,
    /// Settings of one family are joined by a line.
    pub(crate) family: String,
}

impl Setting {
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), x: None, family: String::new() }
    }

    pub(crate) fn along(name: String, x: u64, family: &str) -> Self {
        Self { name, x: Some(x as f64), family: family.to_owned() }
    }
}

/// The numbers of one case.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Case {
    pub(crate) letter: String,
    pub(crate) title: String,
    /// What exactly was done, a paragraph each.
    pub(crate) method: Vec<String>,
    /// What its chart shows: the quantity, and the name of the x axis.
    pub(crate) chart: (String, String),
    pub(crate) series: Vec<Series>,
    pub(crate) targets: Vec<Target>,
    /// What this run has left out, and why.
    pub(crate) notes: Vec<String>,
}

/// One quantity of one participant in one setting.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Series {
    pub(crate) setting: String,
    pub(crate) x: Option<f64>,
    pub(crate) family: String,
    pub(crate) subject: String,
    pub(crate) quantity: String,
    pub(crate) unit: String,
    /// By round.
    pub(crate) values: BTreeMap<usize, f64>,
}

/// What was aimed at.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) text: String,
    pub(crate) wanted: f64,
    pub(crate) unit: String,
    pub(crate) is_least: bool,
    /// Absent where this run did not measure it.
    pub(crate) measured: Option<f64>,
}

/// Least, median and greatest of some numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Spread {
    pub(crate) fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut all: Vec<f64> = numbers.into_iter().collect();
        all.sort_by(f64::total_cmp);
        let (min, max) = (*all.first()?, *all.last()?);
        let middle = all.len() / 2;
        let median =
            if all.len() % 2 == 1 { all[middle] } else { (all[middle - 1] + all[middle]) / 2.0 };
        Some(Self { min, median, max })
    }
}

impl Series {
    pub(crate) fn spread(&self) -> Option<Spread> {
        Spread::of(self.values.values().copied())
    }
}

impl Case {
    pub(crate) fn new(letter: char, title: &str, chart: (Quantity, &str)) -> Self {
        Self {
            letter: letter.to_string(),
            title: title.to_owned(),
            method: Vec::new(),
            chart: (chart.0.name.to_owned(), chart.1.to_owned()),
            series: Vec::new(),
            targets: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(crate) fn method(&mut self, text: &str) {
        self.method.push(text.to_owned());
    }

    /// Says what was left out; once, however often it happens.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.notes.contains(&text) {
            println!("  note: {text}");
            self.notes.push(text);
        }
    }

    pub(crate) fn record(
        &mut self,
        round: usize,
        setting: &Setting,
        subject: &str,
        quantity: Quantity,
        value: f64,
    ) {
        let is_it = |series: &&mut Series| {
            series.setting == setting.name
                && series.subject == subject
                && series.quantity == quantity.name
        };
        if let Some(series) = self.series.iter_mut().find(is_it) {
            series.values.insert(round, value);
            return;
        }
        self.series.push(Series {
            setting: setting.name.clone(),
            x: setting.x,
            family: setting.family.clone(),
            subject: subject.to_owned(),
            quantity: quantity.name.to_owned(),
            unit: quantity.unit.to_owned(),
            values: BTreeMap::from([(round, value)]),
        });
    }

    pub(crate) fn find(&self, setting: &str, subject: &str, quantity: &str) -> Option<&Series> {
        self.series.iter().find(|series| {
            series.setting == setting && series.subject == subject && series.quantity == quantity
        })
    }

    pub(crate) fn median(
        &self,
        setting: &Setting,
        subject: &str,
        quantity: Quantity,
    ) -> Option<f64> {
        Some(self.find(&setting.name, subject, quantity.name)?.spread()?.median)
    }

    /// What the first round measured.
    pub(crate) fn first(
        &self,
        setting: &Setting,
        subject: &str,
        quantity: Quantity,
    ) -> Option<f64> {
        self.find(&setting.name, subject, quantity.name)?.values.values().next().copied()
    }

    /// The median of the ratios within each round of one participant to another.
    pub(crate) fn ratio(
        &self,
        setting: &Setting,
        quantity: Quantity,
        of: &str,
        to: &str,
    ) -> Option<f64> {
        let of = self.find(&setting.name, of, quantity.name)?;
        let to = self.find(&setting.name, to, quantity.name)?;
        ratio(of, to)
    }

    pub(crate) fn at_least(&mut self, text: &str, wanted: f64, unit: &str, measured: Option<f64>) {
        self.target(text, wanted, unit, true, measured);
    }

    pub(crate) fn at_most(&mut self, text: &str, wanted: f64, unit: &str, measured: Option<f64>) {
        self.target(text, wanted, unit, false, measured);
    }

    fn target(&mut self, text: &str, wanted: f64, unit: &str, is_least: bool, m: Option<f64>) {
        let (text, unit) = (text.to_owned(), unit.to_owned());
        self.targets.push(Target { text, wanted, unit, is_least, measured: m });
    }
}

/// The median of the ratios of two series within each round.
pub(crate) fn ratio(of: &Series, to: &Series) -> Option<f64> {
    let within = of.values.iter().filter_map(|(round, a)| Some(a / to.values.get(round)?));
    Some(Spread::of(within.filter(|ratio| ratio.is_finite()))?.median)
}

impl Target {
    /// Whether it was met; `None` where it was not measured.
    pub(crate) fn is_met(&self) -> Option<bool> {
        let measured = self.measured?;
        Some(if self.is_least { measured >= self.wanted } else { measured <= self.wanted })
    }

    pub(crate) fn verdict(&self) -> &'static str {
        match self.is_met() {
            Some(true) => "met",
            Some(false) => "missed",
            None => "not measured",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_taken_within_rounds_and_only_where_both_were_measured() {
        let time = Quantity { name: "time", unit: "ms" };
        let mut case = Case::new('z', "", (time, ""));
        let at = Setting::named("here");
        for (round, a, b) in [(0, 10.0, 1.0), (1, 20.0, 10.0), (2, 90.0, 30.0)] {
            case.record(round, &at, "a", time, a);
            case.record(round, &at, "b", time, b);
        }
        case.record(3, &at, "a", time, 1e9);
        assert_eq!(case.ratio(&at, time, "a", "b"), Some(3.0));
        assert_eq!(case.ratio(&at, time, "a", "c"), None);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_two_in_the_middle() {
        assert_eq!(Spread::of([4.0, 1.0, 3.0, 2.0]).map(|spread| spread.median), Some(2.5));
        assert!(Spread::of([]).is_none());
    }

    #[test]
    fn a_target_that_was_not_measured_is_neither_met_nor_missed() {
        let mut case = Case::new('z', "", (Quantity { name: "time", unit: "ms" }, ""));
        case.at_least("", 10.0, "×", Some(9.9));
        case.at_most("", 10.0, "×", Some(9.9));
        case.at_most("", 10.0, "×", None);
        let verdicts: Vec<_> = case.targets.iter().map(Target::verdict).collect();
        assert_eq!(verdicts, ["missed", "met", "not measured"]);
    }
}
