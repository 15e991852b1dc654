//! What innocent requests are made of: words, names, resources, clients.

/// Words of everyday text.
pub const WORDS: &[&str] = &[
    "order", "spring", "sale", "blue", "running", "shoes", "please", "leave", "door", "thanks", "monday", "invoice",
    "ticket", "printer", "update", "select", "from", "union", "table", "drop", "where", "the", "and", "or", "not", "a",
    "is", "in", "for", "with", "we", "you", "they", "need", "want", "ship", "shipping", "address", "street", "city",
    "summer", "winter", "coffee", "tea", "large", "small", "medium", "red", "green", "yellow", "team", "meeting",
    "report", "quarter", "budget", "plan", "draft", "final", "version", "release", "notes", "server", "client",
    "network", "cable", "laptop", "mouse", "keyboard", "screen", "desk", "chair", "lamp", "window", "garden", "music",
    "concert", "holiday", "flight", "hotel", "train", "station", "ping", "echo", "cat", "find", "sort", "time", "date",
    "who", "more", "less", "head", "tail", "test", "sleep", "wait", "exec", "system", "script", "alert", "document",
    "window", "location", "function", "return", "const", "class", "import", "export", "default", "null", "true",
];

/// Names of people.
pub const NAMES: &[&str] = &[
    "Jane Doe",
    "Zoë Müller",
    "Seán O'Brien",
    "María José",
    "Li Wei",
    "Åsa Lindström",
    "D'Angelo Smith",
    "Nguyễn Văn An",
    "Müge Yılmaz",
    "Jean-Luc Picard",
    "Anne-Marie O'Neill",
    "Иван Петров",
    "佐藤 花子",
    "Omar El-Sayed",
];

/// Resources of APIs.
pub const RESOURCES: &[&str] = &[
    "users", "orders", "invoices", "products", "carts", "sessions", "tickets", "comments", "files", "search", "events",
    "accounts", "payments", "messages", "teams", "projects", "tasks", "reports", "webhooks", "devices",
];

/// Names of parameters and members.
pub const KEYS: &[&str] = &[
    "id",
    "name",
    "email",
    "status",
    "page",
    "limit",
    "sort",
    "q",
    "filter",
    "since",
    "until",
    "note",
    "description",
    "title",
    "price",
    "quantity",
    "tags",
    "address",
    "zip",
    "lang",
    "currency",
    "token",
    "cursor",
    "fields",
    "include",
    "user_id",
    "orderId",
    "created_at",
    "isActive",
    "metadata",
    "items[]",
    "filter[status]",
    "address.city",
];

/// What clients call themselves.
pub const AGENTS: &[&str] = &[
    "okhttp/4.12.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "PostmanRuntime/7.43.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
    "MyApp/3.2.1 (iPhone; iOS 18.1; Scale/3.00)",
    "Go-http-client/2.0",
    "axios/1.7.7",
    "curl/8.9.1",
    "python-requests/2.32.3",
    "Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8 Build/AP2A.240805.005)",
];

/// Sentences that look like code to a careless rule.
pub const TEXTS: &[&str] = &[
    "Please select the blue one from the table by the window and drop it off before noon",
    "It's 5 o'clock; can we meet at Joe's? 1 or 2 people, max.",
    "SELECT count(*) FROM orders WHERE status = 'open' takes 30 s, see ticket #4711",
    "run `cat /var/log/syslog | grep error` and paste the output -- thanks!",
    "The <b>bold</b> tag is missing & the <script> block in index.html loads twice",
    "x = a[i] + b[i]; // off by one?",
    "Discount: 20% off (until 31/12) <3",
    "Re: Re: your mail; see http://example.com/a?b=c&d=e for details",
    "# Title\n\n- item *one*\n- item **two**\n\n```sh\nls -la ~/.ssh\n```\n",
    "{\"nested\": \"json as text\", \"n\": 1}",
    "C:\\Users\\jane\\Documents\\report.docx",
    "../images/logo.png is broken, use /static/logo.png",
    "price > 10 && price < 20 || sku = 'AB-123'",
    "Naïve café – “quoted”, 10 € … 日本語のテキスト",
];
