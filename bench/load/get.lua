-- GET with four parameters, three cookies and the usual headers.

function request()
  return ("GET /v1/orders?status=%s&page=%d&sort=-%s&q=%s%%20%s%%20%s HTTP/1.1\r\n%s\r\n\r\n"):format(
    word(4), digit(), word(7), word(6), word(7), word(5), headers())
end
