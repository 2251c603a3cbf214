// Every bound a client can run into, in one place. Names say what is bounded, units come last.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvern::limits {

// HTTP
inline constexpr std::size_t kHeaderBytes = 64 * 1024;
inline constexpr std::size_t kBodyBytes = 16 * 1024 * 1024;
inline constexpr std::size_t kTargetBytes = 8 * 1024;
inline constexpr std::size_t kConnections = 4096;
inline constexpr int kHeaderTimeout_ms = 10'000;               // from the first byte of a request to its last header
inline constexpr int kBodyTimeout_ms = 60'000;                 // without a byte of progress
inline constexpr int kIdleTimeout_ms = 75'000;                 // keep-alive between requests
inline constexpr int kWriteTimeout_ms = 60'000;                // a client that takes no byte for this long is gone
inline constexpr int kPingInterval_ms = 10'000;                // SSE comment when nothing else was sent
inline constexpr int kFeedKeepAlive_ms = 15'000;               // the same for streams that all say the same
inline constexpr std::size_t kStreamBufferBytes = 256 * 1024;  // unsent response bytes that stop us producing
inline constexpr int kDrainTimeout_ms = 30'000;                // SIGTERM: running requests get this long

// Watching what the server does
inline constexpr std::size_t kWatchers = 2'048;             // event streams at once: then 503; the rest of
                                                            // kConnections is for requests
inline constexpr int kWatchInterval_ms = 250;               // between two events of a stream, at least
inline constexpr int kWatchTexts_per_s = 500;               // to all streams together: many of them hear less often
inline constexpr std::size_t kWatchTextBytes = 256 * 1024;  // of one event; a stream waits with one at most
inline constexpr std::size_t kWatchEnds = 64;  // ended requests between two events; older ones are left out
inline constexpr std::size_t kSessionWordBytes = 512 * 1024;  // sessions as watchers are told them, with their keys

// Our own commands, which wait with reading from the server while they hold so much that nobody has taken from them
inline constexpr std::size_t kUnreadEventBytes = 1024 * 1024;        // of a watched server's events
inline constexpr std::size_t kUnreadAnswerBytes = 16 * 1024 * 1024;  // of an answer: some 50,000 tokens

// JSON and requests
inline constexpr std::size_t kJsonDepth = 256;
inline constexpr std::size_t kJsonObjectKeys = 1024;
inline constexpr std::size_t kRequestMemoryBytes = 64 * 1024 * 1024;  // parts of earlier requests, and what they said
inline constexpr std::size_t kMessages = 16'384;
inline constexpr std::size_t kContentParts = 4'096;  // of one message
inline constexpr std::size_t kTools = 1'024;
inline constexpr std::size_t kToolNameBytes = 128;
inline constexpr std::size_t kSessionKeyBytes = 256;  // longer keys are cut
inline constexpr std::size_t kToolSchemaBytes = 1024 * 1024;
inline constexpr std::size_t kStops = 64;
inline constexpr std::size_t kStopBytes = 1'024;
inline constexpr std::size_t kChoices = 16;           // n
inline constexpr std::size_t kChoicesOfRequest = 64;  // prompts times n
inline constexpr std::size_t kPrompts = 64;           // prompts of one /v1/completions request
inline constexpr std::size_t kTopLogprobs = 20;
inline constexpr std::size_t kLogitBias = 1'024;
inline constexpr std::size_t kFormatChoices = 4'096;  // guided_choice
inline constexpr std::size_t kEffortBytes = 64;
inline constexpr std::size_t kReferencedBytes = kBodyBytes;            // of stored items a request refers to
inline constexpr std::size_t kStoredResponses = 4'096;                 // of /v1/responses; the longest unused go first
inline constexpr std::size_t kStoredResponseBytes = 64 * 1024 * 1024;  // each counted with its whole conversation

// Templates
inline constexpr std::size_t kTemplateBytes = 1024 * 1024;
inline constexpr std::size_t kTemplateNesting = 200;      // brackets or blocks in the source
inline constexpr std::size_t kTemplateSteps = 2'000'000;  // loop rounds, macro calls and assignments of one render
inline constexpr std::size_t kTemplateStackBytes = 2 * 1024 * 1024;
inline constexpr std::size_t kRenderedBytes = 64 * 1024 * 1024;
inline constexpr std::size_t kPreparedToolSets = 16;  // kept as templates get them
inline constexpr std::size_t kPreparedToolBytes = 96 * 1024 * 1024;
inline constexpr std::size_t kPreparedTextBytes = 2 * 1024 * 1024;       // of a kept tool set, as a template writes it
inline constexpr std::size_t kPreparedMessageBytes = 128 * 1024 * 1024;  // messages as templates get and write them
inline constexpr std::size_t kMeaningBytes = 8 * 1024 * 1024;            // turns as lived and as sent, compared before
inline constexpr std::size_t kCallDigestBytes = 8 * 1024 * 1024;         // calls of earlier prompts
inline constexpr std::size_t kTokenCacheBytes = 64 * 1024 * 1024;        // texts of prompts and their tokens

// Guessing ahead
inline constexpr std::int32_t kDraftTokens = 16;     // in one step of a stream, unless --draft-max says otherwise
inline constexpr std::int32_t kDraftTokensMax = 64;  // that flag at most

// Queues
inline constexpr std::size_t kPrepQueue = 256;        // requests waiting for a prep thread: then 503
inline constexpr std::size_t kWaitingRequests = 256;  // submitted to the scheduler, not yet admitted: then 503
inline constexpr std::size_t kStreamSteps = 256;      // tokens a client may lag behind before its sequence parks
inline constexpr std::size_t kCallsToCheck = 256;     // finished calls waiting for their check: then not checked

// Scheduling
inline constexpr std::size_t kClients = 1'024;  // whose computed tokens are remembered

// Grammars
inline constexpr std::size_t kGrammarBytes = 4 * 1024 * 1024;
inline constexpr std::size_t kCompiledGrammars = 64;       // kept by content hash
inline constexpr std::size_t kTextRuleBytes = 256 * 1024;  // of a client's Lark, GBNF, regular expression or choices
inline constexpr std::size_t kRegexBytes = 4'096;          // of one regular expression: its automaton can be far larger
inline constexpr std::size_t kTextParts = 2'000;           // literals, expressions and groups of a client's grammar
inline constexpr std::size_t kTextRules = 2'000;           // rules of a client's grammar
inline constexpr int kTextRepeats = 10'000;                // of one part of it
inline constexpr std::size_t kArgumentSchemaSteps = 20'000;  // subschemas of one tool that a grammar is written from
inline constexpr std::size_t kArgumentNesting = 128;  // brackets in generated arguments: then the call is given up
inline constexpr std::size_t kCheckedSchemas = 64;    // compiled for checks of finished calls, kept by content hash
inline constexpr std::size_t kCheckedSchemaBytes = 4 * 1024 * 1024;  // of their texts

// Engine
inline constexpr std::uint32_t kSequences = 255;  // libllama's LLAMA_MAX_SEQ is 256, one is scratch

}  // namespace kvern::limits
