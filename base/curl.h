// Who owns libcurl's handles. For the central side: the agent does not link it.
#pragma once

#include <curl/curl.h>
#include <memory>

namespace tally {

// Two kinds: both handles are pointers to void.
struct FreeCurlEasy {
    void operator()(CURL *easy) const { curl_easy_cleanup(easy); }
};
struct FreeCurlMulti {
    void operator()(CURLM *multi) const { curl_multi_cleanup(multi); }
};
struct FreeCurlList {
    void operator()(curl_slist *list) const { curl_slist_free_all(list); }
};
using CurlEasy = std::unique_ptr<CURL, FreeCurlEasy>;
using CurlMulti = std::unique_ptr<CURLM, FreeCurlMulti>;
using CurlList = std::unique_ptr<curl_slist, FreeCurlList>;

} // namespace tally
