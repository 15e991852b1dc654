//! The endpoint router: method + host + path → the learned endpoint, literal segments before parameters.
//!
//! One trie for all, flattened into two arrays: a root per host and method, then nodes with sorted literal edges and at
//! most one parameter edge. A lookup walks depth first, the literal edge first, so it finds what a scan of all templates
//! would rank first: the one with a literal at the first segment where they differ. Each node lies on one path only, so
//! a lookup visits no node twice. Sorted edges instead of hash maps: the worst case does not depend on what attackers
//! taught the catalog.

use std::sync::Arc;

use bartizan_model::{Endpoint, EndpointRef, PathTemplate, Segment};
use smallvec::SmallVec;

/// LIMIT: segments of a path that can be an endpoint's; a template has at most as many.
const SEGMENTS_MAX: usize = 64;

/// LIMIT: nodes visited in one lookup. Honest sets of templates need a few per segment; a set built to make every
/// level branch costs at most this much, and its exchanges stay without a label.
const VISITS_MAX: usize = 4096;

/// The router.
#[derive(Debug, Default)]
pub(crate) struct EndpointRouter {
    roots: Box<[Root]>,
    nodes: Box<[Node]>,
    edges: Box<[Edge]>,
    count: usize,
}

#[derive(Debug)]
struct Root {
    host: Box<str>,
    method: Box<str>,
    node: u32,
}

/// A node; its literal edges are `edges[first..end]`, sorted by segment.
#[derive(Debug, Default)]
struct Node {
    first: u32,
    end: u32,
    parameter: Option<u32>,
    endpoint: Option<EndpointRef>,
}

#[derive(Debug)]
struct Edge {
    segment: Box<[u8]>,
    node: u32,
}

impl EndpointRouter {
    pub(crate) fn new(endpoints: &[Endpoint]) -> Self {
        let mut sorted: Vec<&Endpoint> = endpoints.iter().collect();
        // Stable: of two templates that differ in parameter names only, the first one given is kept.
        sorted.sort_by(|a, b| (&a.host, &a.method).cmp(&(&b.host, &b.method)).then_with(|| order(a, b)));
        let mut builder = Builder::default();
        let mut roots: Vec<Root> = Vec::new();
        for siblings in sorted.chunk_by(|a, b| a.host == b.host && a.method == b.method) {
            let Some(first) = siblings.first() else { continue };
            let node = builder.subtree(siblings);
            roots.push(Root { host: first.host.clone(), method: first.method.clone(), node });
        }
        Self { roots: roots.into(), nodes: builder.nodes.into(), edges: builder.edges.into(), count: builder.count }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The endpoint this request belongs to. `path` is raw, `host` as in events.
    pub(crate) fn find(&self, method: &[u8], host: &str, path: &[u8]) -> Option<&EndpointRef> {
        let at = self
            .roots
            .binary_search_by(|root| (*root.host).cmp(host).then_with(|| root.method.as_bytes().cmp(method)))
            .ok()?;
        let mut segments: SmallVec<[&[u8]; 16]> = SmallVec::new();
        for segment in PathTemplate::split(path) {
            if segments.len() == SEGMENTS_MAX {
                return None;
            }
            segments.push(segment);
        }
        self.walk(self.roots.get(at)?.node, &segments)
    }

    /// Depth first; `open` holds the parameter edges still to try.
    fn walk(&self, root: u32, segments: &[&[u8]]) -> Option<&EndpointRef> {
        let mut open: SmallVec<[(u32, usize); 8]> = SmallVec::new();
        let mut next = Some((root, 0));
        for _ in 0..VISITS_MAX {
            let (number, depth) = next.take().or_else(|| open.pop())?;
            let node = self.nodes.get(number as usize)?;
            let Some(segment) = segments.get(depth) else {
                match &node.endpoint {
                    Some(endpoint) => return Some(endpoint),
                    None => continue,
                }
            };
            if let Some(parameter) = node.parameter
                && !segment.is_empty()
            {
                open.push((parameter, depth + 1));
            }
            next = self.literal(node, segment).map(|node| (node, depth + 1));
        }
        None
    }

    fn literal(&self, node: &Node, segment: &[u8]) -> Option<u32> {
        let edges = self.edges.get(node.first as usize..node.end as usize)?;
        let at = edges.binary_search_by(|edge| (*edge.segment).cmp(segment)).ok()?;
        edges.get(at).map(|edge| edge.node)
    }
}

/// Literals in order, then the parameter, whatever its name; shorter templates first.
fn order(a: &Endpoint, b: &Endpoint) -> std::cmp::Ordering {
    fn key(segment: &Segment) -> (bool, &str) {
        match segment {
            Segment::Literal(literal) => (false, literal),
            Segment::Parameter(_) => (true, ""),
        }
    }
    a.template.segments().iter().map(key).cmp(b.template.segments().iter().map(key))
}

#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    count: usize,
}

impl Builder {
    /// Builds the trie of templates sorted by [`order`] breadth first, so that a node's edges lie together.
    fn subtree(&mut self, siblings: &[&Endpoint]) -> u32 {
        let root = self.add_node();
        let mut queue = std::collections::VecDeque::from([(root, 0, siblings)]);
        while let Some((node, depth, mut templates)) = queue.pop_front() {
            let ends_here = |endpoint: &&Endpoint| endpoint.template.segments().len() == depth;
            let ending = templates.iter().take_while(|endpoint| ends_here(endpoint)).count();
            let endpoint = templates.first().filter(|_| ending > 0).map(|endpoint| reference(endpoint));
            self.count += usize::from(endpoint.is_some());
            templates = templates.get(ending..).unwrap_or_default();
            let first = self.edges.len() as u32;
            let mut parameter = None;
            for group in templates.chunk_by(|a, b| is_same_segment(a, b, depth)) {
                let child = self.add_node();
                match group.first().and_then(|endpoint| endpoint.template.segments().get(depth)) {
                    Some(Segment::Literal(literal)) => {
                        self.edges.push(Edge { segment: literal.as_bytes().into(), node: child });
                    }
                    Some(Segment::Parameter(_)) | None => parameter = Some(child),
                }
                queue.push_back((child, depth + 1, group));
            }
            let end = self.edges.len() as u32;
            if let Some(slot) = self.nodes.get_mut(node as usize) {
                *slot = Node { first, end, parameter, endpoint };
            }
        }
        root
    }

    fn add_node(&mut self) -> u32 {
        self.nodes.push(Node::default());
        self.nodes.len() as u32 - 1
    }
}

fn reference(endpoint: &Endpoint) -> EndpointRef {
    EndpointRef { id: endpoint.id(), template: Arc::from(endpoint.template.to_string()) }
}

fn is_same_segment(a: &Endpoint, b: &Endpoint, depth: usize) -> bool {
    match (a.template.segments().get(depth), b.template.segments().get(depth)) {
        (Some(Segment::Literal(a)), Some(Segment::Literal(b))) => a == b,
        (Some(Segment::Parameter(_)), Some(Segment::Parameter(_))) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn endpoint(method: &str, host: &str, template: &str) -> Endpoint {
        Endpoint { method: method.into(), host: host.into(), template: template.parse().unwrap() }
    }

    fn found<'a>(router: &'a EndpointRouter, method: &str, path: &str) -> Option<&'a str> {
        router.find(method.as_bytes(), "a", path.as_bytes()).map(|endpoint| &*endpoint.template)
    }

    /// What the router must equal: every template tried, the literal-first one chosen.
    fn scan<'a>(endpoints: &'a [Endpoint], method: &str, host: &str, path: &str) -> Option<&'a Endpoint> {
        let fits = |endpoint: &&Endpoint| {
            *endpoint.method == *method && *endpoint.host == *host && endpoint.template.is_match(path.as_bytes())
        };
        let rank = |endpoint: &&Endpoint| -> Vec<bool> {
            endpoint.template.segments().iter().map(|segment| matches!(segment, Segment::Parameter(_))).collect()
        };
        endpoints.iter().filter(fits).min_by_key(rank)
    }

    #[test]
    fn a_literal_wins_over_a_parameter_and_a_dead_end_is_left() {
        let router = EndpointRouter::new(&[
            endpoint("GET", "a", "/users/{id}"),
            endpoint("GET", "a", "/users/me"),
            endpoint("GET", "a", "/users/{id}/cards"),
            endpoint("GET", "a", "/"),
            endpoint("POST", "a", "/users"),
            endpoint("GET", "b", "/other"),
        ]);
        assert_eq!(found(&router, "GET", "/users/me"), Some("/users/me"));
        assert_eq!(found(&router, "GET", "/users/7"), Some("/users/{id}"));
        assert_eq!(found(&router, "GET", "/users/me/cards"), Some("/users/{id}/cards"));
        assert_eq!(found(&router, "GET", "/users/"), None);
        assert_eq!(found(&router, "GET", "/"), Some("/"));
        assert_eq!(found(&router, "GET", "/other"), None);
        assert_eq!(found(&router, "POST", "/users"), Some("/users"));
        assert_eq!(router.len(), 6);
    }

    #[test]
    fn a_set_built_to_branch_at_every_level_costs_a_bounded_walk() {
        let templates = (0..1u32 << 12).map(|bits| {
            let segments: Vec<_> = (0..12).map(|at| if bits >> at & 1 == 0 { "a" } else { "{x}" }).collect();
            endpoint("GET", "a", &format!("/{}/end", segments.join("/")))
        });
        let router = EndpointRouter::new(&templates.collect::<Vec<_>>());
        assert_eq!(found(&router, "GET", &format!("{}/other", "/a".repeat(12))), None);
    }

    fn segment() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("a".to_owned()),
            Just("b".to_owned()),
            Just("{x}".to_owned()),
            Just("{y}".to_owned()),
            Just(String::new())
        ]
    }

    proptest! {
        #[test]
        fn the_router_equals_a_linear_scan(
            templates in proptest::collection::vec((0..2usize, 0..2usize, proptest::collection::vec(segment(), 1..5)), 0..60),
            paths in proptest::collection::vec((0..2usize, 0..2usize, "(/[abc]?){1,5}"), 1..20),
        ) {
            let methods = ["GET", "POST"];
            let hosts = ["a", "b:8080"];
            let endpoints: Vec<Endpoint> = templates.iter()
                .map(|(method, host, segments)| endpoint(methods[*method], hosts[*host], &format!("/{}", segments.join("/"))))
                .collect();
            let router = EndpointRouter::new(&endpoints);
            for (method, host, path) in &paths {
                let routed = router.find(methods[*method].as_bytes(), hosts[*host], path.as_bytes());
                let scanned = scan(&endpoints, methods[*method], hosts[*host], path);
                prop_assert_eq!(routed.map(|endpoint| endpoint.id), scanned.map(Endpoint::id), "{}", path);
            }
        }
    }
}
