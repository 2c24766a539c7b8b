//! Which Database a person means: by its name, or by its PD cluster id in decimal. One answer for all commands.

use super::Database;
use crate::did_you_mean::near;

impl Database {
    /// Whether this is its name or its PD cluster id.
    pub fn is_called(&self, asked: &str) -> bool {
        self.name == asked || self.id.as_deref() == Some(asked)
    }
}

/// `no Database is called "prod-wset". Did you mean prod-west? There are: prod-east, prod-west`
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no Database is called {asked:?}{}", known(asked, names))]
pub struct NoSuchDatabase {
    asked: String,
    names: Vec<String>,
}

fn known(asked: &str, names: &[String]) -> String {
    if names.is_empty() {
        return "; no Database was seen in the connected contexts".to_owned();
    }
    let all = names.join(", ");
    match near(asked, names.iter().map(String::as_str)) {
        Some(near) => format!(". Did you mean {near}? There are: {all}"),
        None => format!("; there are: {all}"),
    }
}

/// Where the one that was asked for is among these.
pub fn position(all: &[Database], asked: &str) -> Result<usize, NoSuchDatabase> {
    all.iter().position(|database| database.is_called(asked)).ok_or_else(|| NoSuchDatabase {
        asked: asked.to_owned(),
        names: all.iter().map(|database| database.name.clone()).collect(),
    })
}

/// Those of these that were asked for: more than one where two have one name, all of them where none was named.
pub fn chosen<'a>(all: &'a [Database], asked: Option<&str>) -> Result<Vec<&'a Database>, NoSuchDatabase> {
    if let Some(asked) = asked {
        position(all, asked)?;
    }
    Ok(all.iter().filter(|database| asked.is_none_or(|asked| database.is_called(asked))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_nearly_one_is_told_beside_all_that_there_are() {
        let no = |names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            NoSuchDatabase { asked: "prod-wset".into(), names }.to_string()
        };
        assert_eq!(
            no(&["prod-east", "prod-west"]),
            "no Database is called \"prod-wset\". Did you mean prod-west? There are: prod-east, prod-west"
        );
        assert_eq!(no(&["blue"]), "no Database is called \"prod-wset\"; there are: blue");
        assert_eq!(no(&[]), "no Database is called \"prod-wset\"; no Database was seen in the connected contexts");
    }
}
