-- What both workloads share: values of their own for every request, so that nothing that remembers values is measured.
-- The same shapes as `crates/waf/examples/bench/workload.rs`; words can be spoken. A text begins with
-- a word of six letters: among those of four there are names of programs (`raku`), which rules look for.

local CONSONANTS, VOWELS = "bdfgklmnprtvz", "aiou"
local ALPHANUMERIC = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
local HEX = "0123456789abcdef"

math.randomseed(7)

local function pick(letters)
  local at = math.random(#letters)
  return letters:sub(at, at)
end

local function draw(letters, length)
  local drawn = {}
  for at = 1, length do drawn[at] = pick(letters) end
  return table.concat(drawn)
end

-- LIMIT: texts of each kind that are drawn beforehand; what a request is made of is picked among them, since drawing
-- letters for every request would make the generator the bottleneck. The combinations do not repeat.
local POOL = 2048

local function pool(make)
  local made = {}
  for at = 1, POOL do made[at] = make() end
  return function() return made[math.random(POOL)] end
end

local words = {}

function word(length)
  words[length] = words[length] or pool(function()
    local drawn = {}
    for at = 1, length do drawn[at] = pick(at % 2 == 1 and CONSONANTS or VOWELS) end
    return table.concat(drawn)
  end)
  return words[length]()
end

function digit() return math.random(9) end

local claims = pool(function() return draw(ALPHANUMERIC, 55) end)
local signature = pool(function() return draw(ALPHANUMERIC, 48) end)
local hex4 = pool(function() return draw(HEX, 4) end)

local HEADERS = table.concat({
  "Host: api.example.com",
  "User-Agent: okhttp/4.%d.%d",
  "Accept: application/json",
  "Accept-Encoding: gzip",
  "Authorization: Bearer eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.%s.%s",
  "Cookie: session=%s; theme=%s; lang=%s",
  "X-Request-Id: %s%s-%s-%s-%s-%s%s%s",
}, "\r\n")

function headers()
  return HEADERS:format(math.random(10, 99), math.random(0, 9), claims(), signature(), word(16), word(5), word(2),
    hex4(), hex4(), hex4(), hex4(), hex4(), hex4(), hex4(), hex4())
end
