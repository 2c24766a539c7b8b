//! Versions of TiDB and of its operator: `v8.5.7`, `v1.3.0-beta.1`. Pure comparison, nothing else.

use super::workload::image_tag;

/// Major, minor, patch; a pre-release comes before its release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    pub major: u64,
    pub minor: u64,
    pub patch: u64,
    release: bool,
}

impl Version {
    pub const fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self { major, minor, patch, release: true }
    }

    /// Reads a tag, with or without `v`, with anything behind a `-`, a digest left out; `None` for `latest` and the like.
    pub fn parse(tag: &str) -> Option<Self> {
        let tag = tag.split('@').next().unwrap_or_default().trim();
        let rest = tag.strip_prefix('v').unwrap_or(tag);
        let (numbers, suffix) = match rest.split_once(['-', '+']) {
            Some((numbers, suffix)) => (numbers, suffix),
            None => (rest, ""),
        };
        let mut parts = numbers.split('.').map(|part| part.parse::<u64>().ok());
        let (major, minor) = (parts.next()??, parts.next()??);
        let patch = match parts.next() {
            Some(patch) => patch?,
            None => 0,
        };
        let before = ["alpha", "beta", "rc"].iter().any(|word| suffix.starts_with(word));
        parts.next().is_none().then_some(Self { major, minor, patch, release: !before })
    }

    /// The tag of an image, with a registry's port and a digest left out.
    pub fn of_image(image: &str) -> Option<Self> {
        Self::parse(image_tag(image)?)
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "v{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order() {
        let ordered = ["v1.2.9", "v1.3.0-beta.1", "1.3.0", "v1.3.1", "v1.10.0", "v8.5"];
        for pair in ordered.windows(2) {
            assert!(Version::parse(pair[0]) < Version::parse(pair[1]), "{pair:?}");
        }
        // A distribution's own suffix is no pre-release.
        assert_eq!(Version::parse("v8.5.7-arm64"), Some(Version::new(8, 5, 7)));
        for odd in ["latest", "", "v8", "v8.x", "v1.2.3.4", "nightly-20260101"] {
            assert_eq!(Version::parse(odd), None, "{odd}");
        }
        assert_eq!(Version::of_image("registry:5000/pingcap/pd:v8.5.7@sha256:00"), Some(Version::new(8, 5, 7)));
        assert_eq!(Version::of_image("registry:5000/pingcap/pd"), None);
        assert_eq!(Version::parse("v8.5.7@sha256:00"), Some(Version::new(8, 5, 7)));
    }
}
