//! Lists in pages: sorted by primary key, continued after the last key seen.

/// Where to begin and how many rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Rows with a greater (in descending lists: smaller) primary key than this.
    pub after: Option<i64>,
    /// Rows at most, 1 to 500.
    pub limit: i64,
}

impl Page {
    /// The first page.
    #[must_use]
    pub fn first(limit: i64) -> Self {
        Self { after: None, limit: limit.clamp(1, 500) }
    }

    /// One row more than asked for: tells whether there is another page.
    #[must_use]
    pub fn fetch(&self) -> i64 {
        self.limit.clamp(1, 500) + 1
    }
}

/// One page of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// The key to continue after, when there is more.
    pub next: Option<i64>,
}

impl<T> Slice<T> {
    /// From rows fetched with [`Page::fetch`].
    pub fn cut(mut rows: Vec<T>, page: &Page, key: impl Fn(&T) -> i64) -> Self {
        let limit = usize::try_from(page.limit.clamp(1, 500)).unwrap_or(500);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = if more { rows.last().map(key) } else { None };
        Self { rows, next }
    }

    /// The same page of something else.
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Slice<U> {
        Slice { rows: self.rows.into_iter().map(convert).collect(), next: self.next }
    }
}
