//! Reading judgments from CSV. Files without quotes, which is nearly all, are split in place; whatever is
//! unusual (quotes, other line ends, uneven rows, an empty value) is left to the `csv` crate, which also
//! words the errors.

use std::path::Path;

use anyhow::{Context, Result};
use learning::judgment::Judgment;

use super::names::Names;

const COLUMNS: [&str; 3] = ["task_id", "rater_id", "label"];
/// Files with more columns are not split in place.
const MAX_COLUMNS: usize = 16;
/// Bytes of a short row; memory that is reserved and not used costs nothing.
const USUAL_ROW: usize = 8;

/// The judgments of a file, and what their numbers mean.
#[derive(Default)]
pub struct Answers {
    pub tasks: Names,
    pub raters: Names,
    pub labels: Names,
    pub judgments: Vec<Judgment>,
}

impl Answers {
    fn add(&mut self, [task, rater, label]: [&str; 3]) -> Result<()> {
        let (task, rater, label) = (self.tasks.number(task)?, self.raters.number(rater)?, self.labels.number(label)?);
        self.judgments.push(Judgment { task, rater, label });
        Ok(())
    }
}

/// Reads `task_id,rater_id,label`.
pub fn answers(path: &Path) -> Result<Answers> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    if let Some(answers) = std::str::from_utf8(&bytes).ok().and_then(split_in_place) {
        return Ok(answers);
    }
    let mut answers = Answers::default();
    each_row(path, &bytes, COLUMNS, |row| answers.add(row))?;
    Ok(answers)
}

/// Calls `each` with the named columns of every row; a wrong row is named by its line.
pub fn each_row<const N: usize>(
    path: &Path,
    bytes: &[u8],
    columns: [&str; N],
    mut each: impl FnMut([&str; N]) -> Result<()>,
) -> Result<()> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let header = reader.headers().with_context(|| format!("{}: the header cannot be read", path.display()))?.clone();
    let mut places = [0_usize; N];
    for (place, column) in places.iter_mut().zip(columns) {
        *place = header
            .iter()
            .position(|name| name == column)
            .with_context(|| format!("{}: the column {column} is missing; expected {}", path.display(), columns.join(",")))?;
    }
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).with_context(|| format!("{}: a row cannot be read", path.display()))? {
        let line = record.position().map_or(0, csv::Position::line);
        let mut values = [""; N];
        for ((value, place), column) in values.iter_mut().zip(places).zip(columns) {
            *value = record
                .get(place)
                .filter(|v| !v.is_empty())
                .with_context(|| format!("{} line {line}: {column} is empty", path.display()))?;
        }
        each(values).with_context(|| format!("{} line {line}", path.display()))?;
    }
    Ok(())
}

/// The rows of a plain file; `None` as soon as anything is unusual.
fn split_in_place(text: &str) -> Option<Answers> {
    let (header, rows) = text.split_once('\n')?;
    if text.starts_with('\u{feff}') || text.bytes().any(|byte| byte == b'"') {
        return None;
    }
    let header: Vec<&str> = header.split(',').map(str::trim).collect();
    if header.len() > MAX_COLUMNS {
        return None;
    }
    let mut places = [0; 3];
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        *place = header.iter().position(|name| *name == column)?;
    }
    let mut answers = Answers::default();
    answers.judgments.reserve(rows.len() / USUAL_ROW);
    let mut fields = [(0, 0); MAX_COLUMNS];
    let (mut column, mut start, mut is_odd) = (0, 0, false);
    let mut end_row = |fields: &[(usize, usize)], is_odd: bool| {
        let [task, rater, label] = places.map(|place| fields.get(place).copied().unwrap_or_default());
        if is_odd {
            let values = [task, rater, label].map(|(from, to)| rows.get(from..to).unwrap_or_default().trim());
            return if values.contains(&"") { None } else { answers.add(values).ok() };
        }
        if task.0 == task.1 || rater.0 == rater.1 || label.0 == label.1 {
            return None;
        }
        let task = answers.tasks.number_within(rows, task.0, task.1).ok()?;
        let rater = answers.raters.number_within(rows, rater.0, rater.1).ok()?;
        let label = answers.labels.number_within(rows, label.0, label.1).ok()?;
        answers.judgments.push(Judgment { task, rater, label });
        Some(())
    };
    for (place, byte) in rows.bytes().enumerate() {
        if byte > b',' && byte.is_ascii() {
            continue;
        }
        if byte == b',' || byte == b'\n' {
            *fields.get_mut(column)? = (start, place);
            column += 1;
            start = place + 1;
        }
        if byte == b'\n' {
            let is_blank = column == 1 && matches!(fields.first().and_then(|(from, to)| rows.get(*from..*to)), Some("" | "\r"));
            if !is_blank {
                end_row(fields.get(..column).filter(|fields| fields.len() == header.len())?, is_odd)?;
            }
            (column, is_odd) = (0, false);
        } else if byte == b'\r' && rows.as_bytes().get(place + 1) != Some(&b'\n') {
            return None;
        } else if byte != b',' {
            is_odd = true;
        }
    }
    if start < rows.len() || column > 0 {
        *fields.get_mut(column)? = (start, rows.len());
        end_row(fields.get(..=column).filter(|fields| fields.len() == header.len())?, is_odd)?;
    }
    Some(answers)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn by_csv(text: &str) -> Option<Answers> {
        let mut answers = Answers::default();
        each_row(Path::new("x"), text.as_bytes(), COLUMNS, |row| answers.add(row)).ok().map(|()| answers)
    }

    fn listed(answers: &Answers) -> Vec<[String; 3]> {
        let name = |names: &Names, number: u32| names.name(number as usize).to_owned();
        let row = |j: &Judgment| [name(&answers.tasks, j.task), name(&answers.raters, j.rater), name(&answers.labels, j.label)];
        answers.judgments.iter().map(row).collect()
    }

    #[test]
    fn plain_files_are_read_as_the_csv_crate_reads_them() {
        for text in [
            "task_id,rater_id,label\na,b,c\n",
            "label,x,task_id,rater_id\r\n1,,t1,r1\r\n\r\n2,zz,t2,r1",
            "task_id , rater_id,label\n a ,b, c d\n\n\ne,f,\tg\n",
            "task_id,rater_id,label\nÄ,ß,\u{a0}é\u{a0}\n'x',#,&\n",
            "task_id,rater_id,label\n",
        ] {
            let (fast, careful) = (split_in_place(text).unwrap(), by_csv(text).unwrap());
            assert_eq!(listed(&fast), listed(&careful), "{text:?}");
        }
    }

    #[test]
    fn unusual_files_are_left_to_the_csv_crate() {
        for text in [
            "task_id,rater_id,label\n\"a,1\",b,c\n",
            "task_id,rater_id,label\na,b\n",
            "task_id,rater_id,label\na,b,c,d\n",
            "task_id,rater_id,label\na,,c\n",
            "task_id,rater_id,label\ra,b,c\r",
            "task_id,rater_id,label\na,b,c\rd,e,f\n",
            "\u{feff}task_id,rater_id,label\na,b,c\n",
            "task_id,label\na,c\n",
            "",
        ] {
            assert!(split_in_place(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn names_keep_their_numbers_however_many_there_are() {
        let mut names = Names::default();
        for round in 0..2 {
            for number in 0..5000_u32 {
                assert_eq!(names.number(&format!("a longer name {number}")).unwrap(), number, "round {round}");
            }
        }
        assert_eq!((names.len(), names.find("a longer name 77"), names.find("b")), (5000, Some(77), None));
        assert_eq!((names.name(4999), names.name(5000)), ("a longer name 4999", ""));
    }
}
