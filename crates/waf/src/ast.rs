//! SecLang as written: typed, with its place in the file, before anything is resolved between rules.

use std::fmt;
use std::sync::Arc;

use crate::{Transform, Variable};

/// Where something was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// File as it was named
    pub file: Arc<str>,
    /// From 1
    pub line: u32,
}

/// All directives of all files, includes put in their places, in the order in which they take effect.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// Directives with their places
    pub directives: Vec<(Place, Directive)>,
}

/// One directive.
#[derive(Clone, Debug, PartialEq)]
pub enum Directive {
    /// `SecRule`
    Rule(Rule),
    /// `SecAction`: a rule without targets that always matches
    Action(Vec<Action>),
    /// `SecMarker`
    Marker(String),
    /// `SecDefaultAction`: for the rules after it, of the phase named in the actions
    DefaultAction(Vec<Action>),
    /// `SecRuleRemoveById`
    RemoveById(Vec<IdRange>),
    /// `SecRuleRemoveByTag`: a regex
    RemoveByTag(String),
    /// `SecRuleRemoveByMsg`: a regex
    RemoveByMessage(String),
    /// `SecRuleUpdateTargetById`
    UpdateTargetById(Vec<IdRange>, Vec<Target>),
    /// `SecRuleUpdateTargetByTag`: a regex
    UpdateTargetByTag(String, Vec<Target>),
    /// `SecRuleUpdateTargetByMsg`: a regex
    UpdateTargetByMessage(String, Vec<Target>),
    /// `SecRuleUpdateActionById`: rule, link of its chain (0 is the head), actions
    UpdateActionById(u32, usize, Vec<Action>),
    /// A directive that sets something for the whole rule set
    Setting(Setting, String),
}

/// Directives that set one value. The parser has checked the value's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Setting {
    /// `SecRuleEngine`: `On`, `Off`, `DetectionOnly`
    RuleEngine,
    /// `SecRequestBodyAccess`: `On`, `Off`
    RequestBodyAccess,
    /// `SecResponseBodyAccess`: `On`, `Off`
    ResponseBodyAccess,
    /// `SecResponseBodyMimeType`: media types apart by blanks
    ResponseBodyMimeType,
    /// `SecRequestBodyJsonDepthLimit`
    RequestBodyJsonDepthLimit,
    /// `SecArgumentsLimit`
    ArgumentsLimit,
    /// `SecArgumentSeparator`: one byte
    ArgumentSeparator,
    /// `SecParseXmlIntoArgs`: `On`, `Off`, `OnlyArgs`
    ParseXmlIntoArgs,
    /// `SecCollectionTimeout`: seconds
    CollectionTimeout,
    /// `SecComponentSignature`
    ComponentSignature,
    /// Known, without meaning here (audit logs, storage paths, temporary files, debug logs, PCRE limits, …); the parser warns
    Ignored,
}

/// One `SecRule`, or one link of a chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What it looks at
    pub targets: Vec<Target>,
    /// With what
    pub operator: Operator,
    /// What follows
    pub actions: Vec<Action>,
}

/// One item of a rule's list of variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Which variable
    pub variable: Variable,
    /// Which of its members
    pub selector: Selector,
    /// `&`: the number of members instead of their values
    pub is_count: bool,
    /// `!`: not these
    pub is_excluded: bool,
}

/// Which members of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// All of them
    All,
    /// The one with this name, ASCII case ignored; kept as written. For `XML` the XPath expression
    Name(String),
    /// Those whose names match, ASCII case ignored: `ARGS:/^a/`
    Regex(String),
}

/// An operator as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// `!`
    pub is_negated: bool,
    /// Which
    pub kind: OperatorKind,
    /// Its argument, macros not yet expanded
    pub argument: Text,
    /// What the files named in the argument hold, for the `…FromFile` operators
    pub data: Vec<Arc<[u8]>>,
}

/// The operators that exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are SecLang's, without the `@`")]
pub enum OperatorKind {
    BeginsWith,
    Contains,
    ContainsWord,
    DetectSqli,
    DetectXss,
    EndsWith,
    Eq,
    Ge,
    Gt,
    IpMatch,
    IpMatchFromFile,
    Le,
    Lt,
    NoMatch,
    Pm,
    PmFromFile,
    Rx,
    StrMatch,
    Streq,
    UnconditionalMatch,
    ValidateByteRange,
    ValidateUrlEncoding,
    ValidateUtf8Encoding,
    VerifyCc,
    VerifyCpf,
    VerifySsn,
    Within,
}

/// An action of a rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// `id:`
    Id(u32),
    /// `phase:` 1 to 5; `request` is 2, `response` 4, `logging` 5
    Phase(u8),
    /// `deny`, `block`, `pass`, `drop`, `allow`, `redirect:`
    Disruptive(Disruptive),
    /// `status:`
    Status(u16),
    /// `log` and `nolog`
    Log(bool),
    /// `auditlog` and `noauditlog`
    AuditLog(bool),
    /// `capture`
    Capture,
    /// `multiMatch`
    MultiMatch,
    /// `chain`
    Chain,
    /// `skip:`
    Skip(u32),
    /// `skipAfter:` a marker, or a rule's id
    SkipAfter(String),
    /// `msg:`
    Message(Text),
    /// `logdata:`
    LogData(Text),
    /// `severity:` 0 (emergency) to 7 (debug)
    Severity(u8),
    /// `tag:`
    Tag(Text),
    /// `ver:`
    Version(String),
    /// `rev:`
    Revision(String),
    /// `maturity:` 1 to 9
    Maturity(u8),
    /// `accuracy:` 1 to 9
    Accuracy(u8),
    /// `t:`; `t:none` is [`Action::TransformNone`]
    Transform(Transform),
    /// `t:none`: forget the transformations before it
    TransformNone,
    /// `setvar:`
    SetVar(SetVar),
    /// `initcol:` collection and key
    InitCollection(String, Text),
    /// `setsid:`, `setuid:`, `setrsc:` the collection and its key, which `SESSIONID` and `USERID` then say
    SetKey(String, Text),
    /// `expirevar:` collection, name, seconds
    ExpireVar(String, Text, Text),
    /// `deprecatevar:` collection, name, amount, seconds
    DeprecateVar(String, Text, Text, Text),
    /// `ctl:`
    Ctl(Ctl),
    /// `sanitiseArg:`, `sanitiseMatched`, `sanitiseRequestHeader:`, `sanitiseResponseHeader:`
    Sanitise(String),
    /// `xmlns:` prefix and namespace
    XmlNamespace(String, String),
}

/// What is to become of the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disruptive {
    /// Let it go on
    Pass,
    /// As the default action of the phase says
    Block,
    /// Answer with an error
    Deny,
    /// Close the connection
    Drop,
    /// Skip the rest: of everything, of this phase, or of the request's phases
    Allow(AllowScope),
    /// Send elsewhere
    Redirect(Text),
}

/// How much `allow` skips.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowScope {
    /// `allow`: all phases but logging
    All,
    /// `allow:phase`
    Phase,
    /// `allow:request`
    Request,
}

/// `setvar:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetVar {
    /// `tx`, `ip`, `global`, …, lower case
    pub collection: String,
    /// Name; may hold macros
    pub name: Text,
    /// What is done
    pub change: Change,
}

/// What `setvar:` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// `name=value`, or `name` alone, which sets `1`
    Set(Text),
    /// `name=+value`
    Add(Text),
    /// `name=-value`
    Subtract(Text),
    /// `!name`
    Unset,
}

/// `ctl:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ctl {
    /// `ruleEngine=`
    RuleEngine(EngineMode),
    /// `auditEngine=`, `auditLogParts=`
    Audit(String),
    /// `requestBodyAccess=`
    RequestBodyAccess(bool),
    /// `responseBodyAccess=`
    ResponseBodyAccess(bool),
    /// `forceRequestBodyVariable=`
    ForceRequestBodyVariable(bool),
    /// `requestBodyProcessor=`
    RequestBodyProcessor(BodyProcessor),
    /// `ruleRemoveById=`
    RemoveById(Vec<IdRange>),
    /// `ruleRemoveByTag=`: a regex
    RemoveByTag(String),
    /// `ruleRemoveByMsg=`: a regex
    RemoveByMessage(String),
    /// `ruleRemoveMatchedById=`: ours; these rules do not look at the values that this link matched
    RemoveMatchedById(Vec<IdRange>),
    /// `ruleRemoveMatchedByTag=`: a regex; ours
    RemoveMatchedByTag(String),
    /// `ruleRemoveMatchedByMsg=`: a regex; ours
    RemoveMatchedByMessage(String),
    /// `ruleRemoveTargetById=ids;target`
    RemoveTargetById(Vec<IdRange>, Target),
    /// `ruleRemoveTargetByTag=regex;target`
    RemoveTargetByTag(String, Target),
    /// `ruleRemoveTargetByMsg=regex;target`
    RemoveTargetByMessage(String, Target),
}

/// `SecRuleEngine` and `ctl:ruleEngine`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineMode {
    /// Rules run and act
    #[default]
    On,
    /// Rules run, nothing is stopped
    DetectionOnly,
    /// No rule runs
    Off,
}

/// Who takes the request body apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyProcessor {
    /// `application/x-www-form-urlencoded`
    UrlEncoded,
    /// `multipart/form-data`
    Multipart,
    /// JSON
    Json,
    /// XML
    Xml,
}

/// Rule ids, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// First
    pub first: u32,
    /// Last
    pub last: u32,
}

/// Text that may hold macros, `%{tx.name}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// Its pieces in order
    pub parts: Vec<TextPart>,
}

/// A piece of a [`Text`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextPart {
    /// As it is
    Literal(Vec<u8>),
    /// `%{VARIABLE}` or `%{VARIABLE.name}`
    Macro(Variable, Option<String>),
}

impl Text {
    /// The bytes, when there is no macro in it.
    pub fn literal(&self) -> Option<&[u8]> {
        match self.parts.as_slice() {
            [] => Some(b""),
            [TextPart::Literal(bytes)] => Some(bytes),
            _ => None,
        }
    }
}

impl IdRange {
    /// Whether `id` is one of them.
    pub fn contains(self, id: u32) -> bool {
        (self.first..=self.last).contains(&id)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}
