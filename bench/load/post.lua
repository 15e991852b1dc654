-- POST of 240 bytes of JSON, with the usual headers.

local BODY = '{"name":"%s %s","email":"%s@example.com","address":{"street":"%d %s St","city":"%s","zip":"%d"},'
  .. '"items":[{"sku":"%s-%d","qty":%d},{"sku":"%s-%d","qty":%d}],"note":"%s %s at the %s, %s, %s %s"}'

function request()
  local name = word(6)
  local body = BODY:format(name, word(3), name, digit(), word(4), word(11), math.random(10000, 99999),
    word(2):upper(), math.random(100, 999), digit(), word(2):upper(), math.random(100, 999), digit(),
    word(8), word(7), word(6), word(8), word(7), word(2))
  return ("POST /v1/orders HTTP/1.1\r\n%s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"):format(
    headers(), #body, body)
end
