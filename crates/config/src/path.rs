//! The place of a setting in a document: `upstreams[0].targets[1].address`.

use std::fmt;

/// One step from a node to a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Into a mapping
    Key(String),
    /// Into a list, from 0
    Index(usize),
}

/// Steps from the top of the document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SettingPath(pub(crate) Vec<Step>);

impl SettingPath {
    /// The top of the document.
    pub(crate) const fn root() -> Self {
        Self(Vec::new())
    }

    /// The member `name` of this mapping.
    pub(crate) fn key(&self, name: &str) -> Self {
        self.child(Step::Key(name.to_owned()))
    }

    /// The item `index` of this list.
    pub(crate) fn index(&self, index: usize) -> Self {
        self.child(Step::Index(index))
    }

    fn child(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for SettingPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(name) if at == 0 => f.write_str(name)?,
                Step::Key(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
