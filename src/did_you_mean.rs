//! The name that somebody may have meant who wrote another one.

/// The one of these names that somebody may have meant: the nearest, where it is near.
pub fn near<'a>(given: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase();
    let part = |name: &str| given.len() >= 3 && name.to_lowercase().contains(&given);
    names
        .map(|name| (if part(name) { 1 } else { strsim::levenshtein(&given, &name.to_lowercase()) }, name))
        .filter(|(distance, name)| *distance <= (name.chars().count() / 3).max(2))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}
