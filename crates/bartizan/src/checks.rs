//! `bartizan checks`: what can be noticed, and what to do about it.

use anyhow::{Result, bail};
use bartizan_engine::CHECKS;

use crate::output;
use crate::table::Table;

/// Lists the checks, or explains one.
pub(crate) fn run(id: Option<&str>, json: bool) -> Result<u8> {
    let chosen: Vec<_> = CHECKS.iter().filter(|check| id.is_none_or(|id| check.id.eq_ignore_ascii_case(id))).collect();
    if chosen.is_empty() {
        bail!("no check is called `{}`; `bartizan checks` lists them", id.unwrap_or_default());
    }
    if json {
        output::print(&format!("{}\n", serde_json::to_string_pretty(&chosen)?));
        return Ok(0);
    }
    if id.is_some() {
        for check in chosen {
            let cwe = check.cwe.iter().map(|number| format!("CWE-{number}")).collect::<Vec<_>>().join(", ");
            output::print(&format!(
                "{} {}\nseverity  {}\nsource    {} {cwe}\nsince     {}\n\nwhy  {}\n\nfix  {}\n",
                check.id,
                check.title,
                check.severity.as_str(),
                check.owasp,
                check.since,
                check.why,
                check.fix
            ));
        }
        return Ok(0);
    }
    let mut rows = Table::new(&["id", "severity", "title"]);
    for check in chosen {
        rows.push([check.id.to_owned(), check.severity.as_str().to_owned(), check.title.to_owned()]);
    }
    rows.print();
    Ok(0)
}
