//! Sets of indexes as Jobs write them down: `1,3-5,7`.

/// The numbers from the first to the last of the pair.
type Range = (i64, i64);

/// How many indexes the text names, each below `completions` and in rising order.
pub(super) fn count(text: &str, completions: i64) -> Result<i64, String> {
    if text.is_empty() {
        return Ok(0);
    }
    let mut total = 0;
    let mut last: Option<i64> = None;
    for part in text.split(',') {
        let (first, end) = range(part, completions)?;
        if let Some(last) = last.filter(|last| *last >= first) {
            return Err(format!(
                "non-increasing order, previous: {last}, current: {first}"
            ));
        }
        total += end - first + 1;
        last = Some(end);
    }
    Ok(total)
}

/// The first index that both texts name. What is no range is no index either.
pub(super) fn overlap(a: &str, b: &str, completions: i64) -> Option<i64> {
    let ranges = |text: &str| -> Vec<Range> {
        text.split(',')
            .filter_map(|part| range(part, completions).ok())
            .collect()
    };
    let (a, b) = (ranges(a), ranges(b));
    let (mut left, mut right) = (a.iter(), b.iter());
    let (mut one, mut other) = (left.next()?, right.next()?);
    loop {
        if one.0 <= other.1 && other.0 <= one.1 {
            return Some(one.0.max(other.0));
        }
        if one.0 <= other.0 {
            one = left.next()?;
        } else {
            other = right.next()?;
        }
    }
}

fn range(part: &str, completions: i64) -> Result<Range, String> {
    let mut limits = part.split('-');
    let (first, last) = (limits.next().unwrap_or(""), limits.next());
    if limits.next().is_some() {
        return Err(format!(
            "the fragment {part:?} violates the requirement that an index interval can have at \
             most two parts separated by '-'"
        ));
    }
    let number = |text: &str| {
        let number: i64 = text
            .parse()
            .map_err(|_| format!("cannot convert string to integer for index: {text:?}"))?;
        if number >= completions {
            return Err(format!("too large index: {text:?}"));
        }
        Ok(number)
    };
    let first = number(first)?;
    let Some(last) = last else {
        return Ok((first, first));
    };
    let last = number(last)?;
    if first >= last {
        return Err(format!(
            "non-increasing order, previous: {first}, current: {last}"
        ));
    }
    Ok((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        let check = |text: &str, expect: Result<i64, &str>| {
            assert_eq!(count(text, 10), expect.map_err(str::to_owned), "{text}");
        };
        check("", Ok(0));
        check("0,2-4,9", Ok(5));
        check("10", Err("too large index: \"10\""));
        check("3,2", Err("non-increasing order, previous: 3, current: 2"));
        check("3-3", Err("non-increasing order, previous: 3, current: 3"));
        check(
            "a",
            Err("cannot convert string to integer for index: \"a\""),
        );
        check(
            "1-2-3",
            Err(
                "the fragment \"1-2-3\" violates the requirement that an index interval can have \
                 at most two parts separated by '-'",
            ),
        );
    }

    #[test]
    fn overlaps() {
        assert_eq!(overlap("0-2,5", "3,5-6", 10), Some(5));
        assert_eq!(overlap("0-2", "3", 10), None);
        assert_eq!(overlap("", "3", 10), None);
    }
}
