// An origin that writes down each request it parses, one JSON object a line: `node origin_node.js PORT LOG`.
// The line is written when the body has ended, or broken off: `complete` says which.
"use strict";
const http = require("node:http");
const fs = require("node:fs");

const [port, log] = process.argv.slice(2);

const server = http.createServer((request, response) => {
  const chunks = [];
  let written = false;
  const write = (complete) => {
    if (written) return;
    written = true;
    const line = {
      method: request.method,
      target: request.url,
      id: request.headers["x-request-id"] ?? null,
      client: request.headers["x-forwarded-for"] ?? null,
      body: Buffer.concat(chunks).toString("base64"),
      complete,
    };
    fs.appendFileSync(log, JSON.stringify(line) + "\n");
  };
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    write(true);
    response.setHeader("content-type", "text/plain");
    response.end("seen\n");
  });
  request.on("close", () => write(false));
  request.on("error", () => write(false));
});
// What is upgraded is a request all the same.
server.on("upgrade", (request, socket) => {
  socket.on("error", () => {}); // who asked may be gone
  const line = {
    method: request.method,
    target: request.url,
    id: request.headers["x-request-id"] ?? null,
    client: request.headers["x-forwarded-for"] ?? null,
    body: "",
    complete: false,
  };
  fs.appendFileSync(log, JSON.stringify(line) + "\n");
  socket.end("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nseen\n");
});
// A request that cannot be parsed, or a head behind a message that is none: told without an id. A connection that ends
// within a request is neither; that request has its line.
const ENDS = ["ECONNRESET", "EPIPE", "ERR_HTTP_REQUEST_TIMEOUT", "HPE_INVALID_EOF_STATE"];
// What comes behind a refusal, until the connection ends, is read as little as what was refused.
const refused = new WeakSet();
server.on("clientError", (error, socket) => {
  if (!ENDS.includes(error.code) && !refused.has(socket)) {
    refused.add(socket);
    fs.appendFileSync(log, JSON.stringify({ refused: error.code }) + "\n");
  }
  if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
});
server.listen(Number(port), "127.0.0.1");
