// libmodsecurity as an oracle, and as a peer to be timed.
//
//   oracle CONFIG                reads exchanges on stdin, answers each with what the rules logged
//   oracle CONFIG --time SECONDS reads exchanges until end of input, runs them over and over, prints µs per exchange
//
// An exchange is a sequence of texts, each a 32-bit little-endian length and its bytes, and of 32-bit numbers:
//   method, target, protocol ("HTTP/1.1"), number of header fields, (name, value)*, body,
//   status, number of response header fields, (name, value)*, response body
// The answer: status of an intervention or 0, number of logged rules, (rule id, log line)*.
// With --time only the request's phases run and the answer is one line of text.
//
// Build: g++ -std=c++17 -O2 -o oracle oracle.cc -lmodsecurity   (Debian: libmodsecurity-dev)
#include <modsecurity/modsecurity.h>
#include <modsecurity/rule_message.h>
#include <modsecurity/rules_set.h>
#include <modsecurity/transaction.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using modsecurity::ModSecurity;
using modsecurity::ModSecurityIntervention;
using modsecurity::RuleMessage;
using modsecurity::RulesSet;
using modsecurity::Transaction;

namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

struct Exchange {
    std::string method, target, protocol, body, response_body;
    Fields fields, response_fields;
    uint32_t status = 200;
};

struct Logged {
    uint32_t rule;
    std::string line;
};

// Filled by the log callback of the transaction that runs.
std::vector<Logged> logged;

[[noreturn]] void give_up(const char *why) {
    std::fprintf(stderr, "oracle: %s\n", why);
    std::exit(2);
}

// False at the end of the input, if nothing was read yet.
bool read_number(uint32_t *number) {
    unsigned char bytes[4];
    size_t count = std::fread(bytes, 1, 4, stdin);
    if (count == 0) return false;
    if (count != 4) give_up("input ends inside a number");
    *number = bytes[0] | bytes[1] << 8 | bytes[2] << 16 | static_cast<uint32_t>(bytes[3]) << 24;
    return true;
}

uint32_t number() {
    uint32_t value;
    if (!read_number(&value)) give_up("input ends inside an exchange");
    return value;
}

std::string text_of(uint32_t length) {
    std::string text(length, '\0');
    if (length != 0 && std::fread(&text[0], 1, length, stdin) != length) give_up("input ends inside a text");
    return text;
}

std::string text() { return text_of(number()); }

Fields fields() {
    Fields list;
    for (uint32_t left = number(); left > 0; left--) {
        std::string name = text();
        list.emplace_back(std::move(name), text());
    }
    return list;
}

bool read_exchange(Exchange *exchange) {
    uint32_t length;
    if (!read_number(&length)) return false;
    exchange->method = text_of(length);
    exchange->target = text();
    exchange->protocol = text();
    exchange->fields = fields();
    exchange->body = text();
    exchange->status = number();
    exchange->response_fields = fields();
    exchange->response_body = text();
    return true;
}

void write_number(uint32_t value) {
    unsigned char bytes[4] = {static_cast<unsigned char>(value), static_cast<unsigned char>(value >> 8),
                              static_cast<unsigned char>(value >> 16), static_cast<unsigned char>(value >> 24)};
    std::fwrite(bytes, 1, 4, stdout);
}

void on_log(void *, const void *message) {
    const auto *rule = static_cast<const RuleMessage *>(message);
    std::string line = RuleMessage::log(rule);
    logged.push_back({static_cast<uint32_t>(rule->m_ruleId), line});
}

const unsigned char *bytes(const std::string &text) { return reinterpret_cast<const unsigned char *>(text.data()); }

// Status of an intervention, 0 without one.
uint32_t intervention(Transaction *transaction) {
    ModSecurityIntervention found;
    std::memset(&found, 0, sizeof found);
    found.status = 200;
    bool is_disruptive = transaction->intervention(&found) && found.disruptive;
    std::free(found.log);
    std::free(found.url);
    return is_disruptive ? static_cast<uint32_t>(found.status) : 0;
}

// libmodsecurity puts `HTTP/` before what it is given; a protocol without it cannot be expressed.
const char *version(const std::string &protocol) {
    return protocol.compare(0, 5, "HTTP/") == 0 ? protocol.c_str() + 5 : protocol.c_str();
}

uint32_t run_request(Transaction *transaction, const Exchange &exchange) {
    transaction->processConnection("127.0.0.1", 12345, "127.0.0.1", 80);
    transaction->processURI(exchange.target.c_str(), exchange.method.c_str(), version(exchange.protocol));
    for (const auto &field : exchange.fields)
        transaction->addRequestHeader(bytes(field.first), field.first.size(), bytes(field.second), field.second.size());
    transaction->processRequestHeaders();
    uint32_t status = intervention(transaction);
    if (status != 0) return status;
    if (!exchange.body.empty()) transaction->appendRequestBody(bytes(exchange.body), exchange.body.size());
    transaction->processRequestBody();
    return intervention(transaction);
}

uint32_t run_response(Transaction *transaction, const Exchange &exchange) {
    for (const auto &field : exchange.response_fields)
        transaction->addResponseHeader(bytes(field.first), field.first.size(), bytes(field.second), field.second.size());
    transaction->processResponseHeaders(static_cast<int>(exchange.status), "HTTP/1.1");
    uint32_t status = intervention(transaction);
    if (status != 0) return status;
    transaction->appendResponseBody(bytes(exchange.response_body), exchange.response_body.size());
    transaction->processResponseBody();
    return intervention(transaction);
}

void answer_all(ModSecurity *engine, RulesSet *rules) {
    Exchange exchange;
    while (read_exchange(&exchange)) {
        logged.clear();
        uint32_t status;
        {
            Transaction transaction(engine, rules, nullptr);
            status = run_request(&transaction, exchange);
            if (status == 0) status = run_response(&transaction, exchange);
            transaction.processLogging();
        }
        write_number(status);
        write_number(static_cast<uint32_t>(logged.size()));
        for (const auto &entry : logged) {
            write_number(entry.rule);
            write_number(static_cast<uint32_t>(entry.line.size()));
            std::fwrite(entry.line.data(), 1, entry.line.size(), stdout);
        }
        std::fflush(stdout);
    }
}

double cpu_seconds() {
    timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Each exchange once, then again from the first, until the time is over. Reading them is not timed.
void time_all(ModSecurity *engine, RulesSet *rules, double seconds) {
    std::vector<Exchange> exchanges;
    Exchange next;
    while (read_exchange(&next)) exchanges.push_back(next);
    if (exchanges.empty()) give_up("nothing to time");
    uint64_t count = 0, stopped = 0;
    double start = cpu_seconds(), spent = 0;
    while (spent < seconds) {
        for (size_t index = 0; index < exchanges.size() && spent < seconds; index++) {
            logged.clear();
            Transaction transaction(engine, rules, nullptr);
            if (run_request(&transaction, exchanges[index]) != 0) stopped++;
            if (++count % 16 == 0) spent = cpu_seconds() - start;
        }
        spent = cpu_seconds() - start;
    }
    std::printf("%.2f %llu %llu\n", spent / static_cast<double>(count) * 1e6, static_cast<unsigned long long>(count),
                static_cast<unsigned long long>(stopped));
}

void on_log_ignored(void *, const void *) {}

}  // namespace

int main(int count, char **arguments) {
    if (count != 2 && !(count == 4 && std::strcmp(arguments[2], "--time") == 0))
        give_up("usage: oracle CONFIG [--time SECONDS]");
    ModSecurity engine;
    engine.setConnectorInformation("bartizan-oracle");
    if (count == 2)
        engine.setServerLogCb(on_log, modsecurity::RuleMessageLogProperty);
    else
        engine.setServerLogCb(on_log_ignored);
    auto rules = std::make_unique<RulesSet>();
    if (rules->loadFromUri(arguments[1]) < 0) give_up(rules->getParserError().c_str());
    if (count == 2)
        answer_all(&engine, rules.get());
    else
        time_all(&engine, rules.get(), std::atof(arguments[3]));
    return 0;
}
