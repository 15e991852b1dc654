//! Names that other engines know and Bartizan does not, each with what to do instead.

/// A name, and what to write in its place.
type Unsupported = (&'static str, &'static str);

const NO_PERSISTENT_SCRIPTS: &str = "Bartizan runs no scripts and no programs; write the check as rules";
const NO_OUTSIDE_LISTS: &str = "no rule asks the network; use `@ipMatchFromFile` with a list that you fetch yourself";
const NO_SCHEMAS: &str = "schemas are checked by the contract stage: give the endpoint an OpenAPI document";
const NO_HASHES: &str = "links are not signed; take the directive out";
const NO_STREAMS: &str = "use REQUEST_BODY or RESPONSE_BODY";
const NO_SERVER_PATHS: &str = "a gateway sees no script; use REQUEST_FILENAME or REQUEST_BASENAME";
const TIMES: &str = "what rules cost is told by the metrics; take it out";
const NO_REWRITE: &str = "rules decide, they do not change messages; take it out";

/// Variables of ModSecurity and Coraza.
pub(super) const UNSUPPORTED_VARIABLES: &[Unsupported] = &[
    ("ARGS_GET_RAW", "use QUERY_STRING"),
    ("ARGS_POST_RAW", "use REQUEST_BODY"),
    ("ARGS_PATH", "use REQUEST_FILENAME"),
    ("ARGS_RAW", "use QUERY_STRING or REQUEST_BODY"),
    ("ENV", "rules do not see the environment; set a TX variable with `setvar` instead"),
    ("FULL_REQUEST", "use REQUEST_LINE, REQUEST_HEADERS and REQUEST_BODY"),
    ("FULL_REQUEST_LENGTH", "use REQUEST_BODY_LENGTH"),
    ("GEO", "locations are not looked up by rules; use the gateway's country policy"),
    ("JSON", "members of a JSON body are in ARGS, named `json.a.b`"),
    ("MODSEC_BUILD", "take the rule out: this is not ModSecurity"),
    ("MSC_PCRE_ERROR", "take it out: matching is linear and knows no limit to exceed"),
    ("MSC_PCRE_LIMITS_EXCEEDED", "take it out: matching is linear and knows no limit to exceed"),
    ("MULTIPART_CRLF_LF_LINES", "use MULTIPART_LF_LINE"),
    ("MULTIPART_SEMICOLON_MISSING", "use MULTIPART_MISSING_SEMICOLON"),
    ("PERF_ALL", TIMES),
    ("PERF_COMBINED", TIMES),
    ("PERF_GC", TIMES),
    ("PERF_LOGGING", TIMES),
    ("PERF_PHASE1", TIMES),
    ("PERF_PHASE2", TIMES),
    ("PERF_PHASE3", TIMES),
    ("PERF_PHASE4", TIMES),
    ("PERF_PHASE5", TIMES),
    ("PERF_RULES", TIMES),
    ("PERF_SREAD", TIMES),
    ("PERF_SWRITE", TIMES),
    ("REMOTE_USER_ID", "use REMOTE_USER"),
    ("RES_BODY_ERROR", "use OUTBOUND_DATA_ERROR"),
    ("RES_BODY_ERROR_MSG", "use OUTBOUND_DATA_ERROR"),
    ("RES_BODY_PROCESSOR", "response bodies are taken apart by their media type"),
    ("RESPONSE_ARGS", "use RESPONSE_BODY"),
    ("RESPONSE_XML", "use RESPONSE_BODY"),
    ("SCRIPT_BASENAME", NO_SERVER_PATHS),
    ("SCRIPT_FILENAME", NO_SERVER_PATHS),
    ("SCRIPT_GID", NO_SERVER_PATHS),
    ("SCRIPT_GROUPNAME", NO_SERVER_PATHS),
    ("SCRIPT_MODE", NO_SERVER_PATHS),
    ("SCRIPT_UID", NO_SERVER_PATHS),
    ("SCRIPT_USERNAME", NO_SERVER_PATHS),
    ("SDBM_DELETE_ERROR", "nothing is stored in SDBM files"),
    ("STREAM_INPUT_BODY", NO_STREAMS),
    ("STREAM_OUTPUT_BODY", NO_STREAMS),
    ("USERAGENT_IP", "use REMOTE_ADDR, which already is the client behind trusted proxies"),
    ("WEBSERVER_ERROR_LOG", "rules do not see the log of a server"),
];

/// Operators of ModSecurity and Coraza.
pub(super) const UNSUPPORTED_OPERATORS: &[Unsupported] = &[
    ("fuzzyHash", "compare with a list of digests: `t:sha1,t:hexEncode` and `@pmFromFile`"),
    ("geoLookup", "locations are not looked up by rules; use the gateway's country policy"),
    ("gsbLookup", NO_OUTSIDE_LISTS),
    ("inspectFile", NO_PERSISTENT_SCRIPTS),
    ("ipMatchFromDataset", "use `@ipMatchFromFile`"),
    ("pmFromDataset", "use `@pmFromFile`"),
    ("rbl", NO_OUTSIDE_LISTS),
    ("restpath", "paths are matched by routes and contracts; use `@rx` on REQUEST_FILENAME"),
    ("rsub", NO_REWRITE),
    ("rxGlobal", "use `@rx`"),
    ("validateDTD", NO_SCHEMAS),
    ("validateHash", NO_HASHES),
    ("validateNid", "use `@rx`"),
    ("validateSchema", NO_SCHEMAS),
    ("verifySVNR", "use `@rx`"),
];

/// Actions of ModSecurity and Coraza.
pub(super) const UNSUPPORTED_ACTIONS: &[Unsupported] = &[
    ("append", NO_REWRITE),
    ("exec", NO_PERSISTENT_SCRIPTS),
    ("pause", "requests are not held back; limit them with a rate policy"),
    ("prepend", NO_REWRITE),
    ("proxy", "routes send requests elsewhere, rules do not; use `deny` or `redirect`"),
    ("sanitiseMatchedBytes", "use `sanitiseMatched`, which masks all of the matched part"),
    ("sanitizeMatchedBytes", "use `sanitiseMatched`, which masks all of the matched part"),
    ("setenv", "there is no environment to set; use `setvar:tx.name=value`"),
];

/// `ctl:` of ModSecurity and Coraza.
pub(super) const UNSUPPORTED_CONTROLS: &[Unsupported] = &[
    ("debugLogLevel", "set the level of the log in the configuration"),
    ("forceResponseBodyVariable", "RESPONSE_BODY is filled whenever response bodies are read"),
    ("hashEnforcement", NO_HASHES),
    ("hashEngine", NO_HASHES),
    ("parseXmlIntoArgs", "inspect XML with `XML:/*` and `XML://@*`"),
    ("requestBodyLimit", "limits are set for all requests; use `SecRequestBodyLimit` or the policy's limits"),
    ("responseBodyLimit", "limits are set for all responses; use `SecResponseBodyLimit` or the policy's limits"),
    ("responseBodyProcessor", "response bodies are taken apart by their media type"),
];

/// Directives of ModSecurity and Coraza that cannot be passed over. Those that can are in the table of settings.
pub(super) const UNSUPPORTED_DIRECTIVES: &[Unsupported] = &[
    ("SecContentInjection", NO_REWRITE),
    ("SecCookieV0Separator", "cookies are parted by `;`; take it out"),
    ("SecDataset", "write the list to a file and use `@pmFromFile` or `@ipMatchFromFile`"),
    ("SecHashEngine", NO_HASHES),
    ("SecHashKey", NO_HASHES),
    ("SecHashMethodPm", NO_HASHES),
    ("SecHashMethodRx", NO_HASHES),
    ("SecHashParam", NO_HASHES),
    ("SecIgnoreRuleCompilationErrors", "a rule that does not compile never vanishes; take it out"),
    ("SecRemoteRules", "fetch the rules yourself and `Include` the file"),
    ("SecRuleScript", NO_PERSISTENT_SCRIPTS),
    ("SecUploadApproveScript", NO_PERSISTENT_SCRIPTS),
];
