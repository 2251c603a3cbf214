// Who a browser says it talks to, and for whom. A page on the web can make its visitor's browser talk to this
// machine, under a name of its own that it lets point here (DNS rebinding); a server without keys must not
// answer it. Pure; thread: any.
#pragma once

#include <string_view>

#include "http/server.h"

namespace kvern::http {

// A name no stranger can own: an address, a name without a dot, *.localhost, *.local or *.internal.
// host may carry a port; empty is local.
bool is_local_name(std::string_view host);

// The request's Host and, where it has one, its Origin are local; or it came over a Unix socket.
// Origins that are no web page's (an editor's, an extension's) are local, "null" is not.
bool comes_from_here(const Request& request);

}  // namespace kvern::http
