Feature: Refusing a subscription
  Each fault in a request has its code; the message says where it is.

  Scenario Outline: A value that cannot be is refused
    Given a request for session-invitation
    And the request has a credential for the sink that is valid for 600 s
    And the request has "<member>" set to <value>
    When the request is sent
    Then the error is 400 <code>
    And the message names "<member>"

    Examples:
      | member                              | value                                                | code               |
      | protocol                            | "MQTT5"                                              | INVALID_PROTOCOL   |
      | protocol                            | 5                                                    | INVALID_ARGUMENT   |
      | sinkCredential.credentialType       | "PLAIN"                                              | INVALID_CREDENTIAL |
      | sinkCredential.credentialType       | "REFRESHTOKEN"                                       | INVALID_CREDENTIAL |
      | sinkCredential.accessTokenType      | "mac"                                                | INVALID_TOKEN      |
      | sinkCredential.accessTokenExpiresUtc | "2020-01-01T00:00:00Z"                              | INVALID_ARGUMENT   |
      | sinkCredential.accessTokenExpiresUtc | "tomorrow"                                          | INVALID_ARGUMENT   |
      | sinkCredential.accessToken          | "two words"                                          | INVALID_ARGUMENT   |
      | sink                                | "not an address"                                     | INVALID_SINK       |
      | sink                                | "http://localhost/plain"                             | INVALID_SINK       |
      | sink                                | "https://10.0.0.1/private"                           | INVALID_SINK       |
      | sink                                | "https://user@localhost/"                            | INVALID_SINK       |
      | sink                                | 5                                                    | INVALID_ARGUMENT   |
      | types                               | []                                                   | INVALID_ARGUMENT   |
      | types                               | ["org.camaraproject.webrtc-events.v0.unheard-of"]    | INVALID_ARGUMENT   |
      | types                               | ["org.camaraproject.webrtc-events.v0.subscription-ended"] | INVALID_ARGUMENT |
      | config.subscriptionExpireTime       | "2020-01-01T00:00:00Z"                               | INVALID_ARGUMENT   |
      | config.subscriptionExpireTime       | "2099-01-01T00:00:00"                                | INVALID_ARGUMENT   |
      | config.subscriptionMaxEvents        | 0                                                    | OUT_OF_RANGE       |
      | config.subscriptionMaxEvents        | -1                                                   | OUT_OF_RANGE       |
      | config.subscriptionMaxEvents        | 1.5                                                  | INVALID_ARGUMENT   |
      | config.initialEvent                 | "yes"                                                | INVALID_ARGUMENT   |
      | config.subscriptionDetail           | {}                                                   | INVALID_ARGUMENT   |
      | config.subscriptionDetail.registrationId | ""                                              | INVALID_ARGUMENT   |
      | config.subscriptionDetail.deviceId  | "7d44"                                               | INVALID_ARGUMENT   |
      | protocolSettings                    | {"method": "PUT"}                                    | INVALID_ARGUMENT   |
      | protocolSettings.headers            | {"Content-Type": "text/plain"}                       | INVALID_ARGUMENT   |

  Scenario Outline: A member that is needed is missing
    Given a request for session-invitation
    And the request has a credential for the sink that is valid for 600 s
    And the request has no "<member>"
    When the request is sent
    Then the error is 400 INVALID_ARGUMENT
    And the message names "<member>"

    Examples:
      | member                                   |
      | protocol                                 |
      | sink                                     |
      | types                                    |
      | config                                   |
      | config.subscriptionDetail                |
      | config.subscriptionDetail.registrationId |
      | sinkCredential.credentialType            |
      | sinkCredential.accessToken               |
      | sinkCredential.accessTokenType           |
      | sinkCredential.accessTokenExpiresUtc     |

  Scenario Outline: A body that is no request is refused
    When <body> is sent to make a subscription
    Then the error is 400 INVALID_ARGUMENT

    Examples:
      | body               |
      | no body            |
      | an empty object    |
      | an array           |
      | a string           |
      | unfinished JSON    |
      | a name twice       |
      | a NaN              |
      | Latin-1 text       |
      | 10,000 brackets    |

  Scenario: A body of another media type is refused
    Given a request for session-invitation
    And the header "Content-Type" is "text/plain"
    When the request is sent
    Then the error is 415 UNSUPPORTED_MEDIA_TYPE

  Scenario: session-status needs a media session
    Given a request for session-status
    And the request has no "config.subscriptionDetail.sessionId"
    When the request is sent
    Then the error is 400 INVALID_ARGUMENT
    And the message names "config.subscriptionDetail.sessionId"

  Scenario: The two names of the media session must agree
    Given a request for session-status
    And the request has "config.subscriptionDetail.mediaSessionId" set to "another"
    When the request is sent
    Then the error is 400 INVALID_ARGUMENT
    And the message names "config.subscriptionDetail"

  Scenario Outline: Two types in one subscription are not supported
    Given a request for session-invitation
    And the request has "types" set to <types>
    When the request is sent
    Then the error is 422 MULTIEVENT_SUBSCRIPTION_NOT_SUPPORTED

    Examples:
      | types                                                                                                             |
      | ["org.camaraproject.webrtc-events.v0.session-invitation", "org.camaraproject.webrtc-events.v0.registration-ends"] |
      | ["org.camaraproject.webrtc-events.v0.session-status", "org.camaraproject.webrtc-events.v0.session-status"]        |

  Scenario: Of several faults the answer names the first in a fixed order
    Given a request for session-invitation
    And the request has "config.subscriptionMaxEvents" set to 0
    And the request has "sink" set to "http://localhost/plain"
    When the request is sent
    Then the error is 400 INVALID_SINK
    Given the request has "protocol" set to "MQTT5"
    When the request is sent
    Then the error is 400 INVALID_PROTOCOL
    Given the request has no "types"
    When the request is sent
    Then the error is 400 INVALID_ARGUMENT

  Scenario: A refusal does not repeat the sink's token
    Given a request for session-invitation
    And the request has a credential for the sink that is valid for 600 s
    And the request has "sinkCredential.accessTokenType" set to "mac"
    When the request is sent
    Then the error is 400 INVALID_TOKEN
    And the credential is not in the answer

  Scenario: A refused request leaves nothing behind
    Given a request for session-invitation
    And the request has "protocol" set to "MQTT5"
    When the request is sent
    Then the error is 400 INVALID_PROTOCOL
    When the subscriptions are listed
    Then the answer is 200
    And the list is empty

  Scenario Outline: A registration that belongs to somebody else is a mismatch
    Given the gateway has announced that the registration belongs to "somebody-else"
    And a request for <type>
    When the request is sent
    Then the error is 403 SUBSCRIPTION_MISMATCH

    Examples:
      | type               |
      | session-invitation |
      | session-status     |
      | registration-ends  |

  Scenario: Nobody listens in on a session of others
    Given the gateway publishes a session-invitation to another registration
    And a request for session-status
    When the request is sent
    Then the error is 403 SUBSCRIPTION_MISMATCH

  Scenario Outline: The service may be set to take known registrations only
    Given a service with tight limits
    And a request for <type>
    When the request is sent
    Then the error is 422 SERVICE_NOT_APPLICABLE

    Examples:
      | type               |
      | session-invitation |
      | session-status     |
      | registration-ends  |

  Scenario: A client has a quota of subscriptions
    Given a service with tight limits
    And the gateway has announced that the registration belongs to the client
    And a subscription to session-invitation
    And a subscription to registration-ends
    And a request for session-invitation
    When the request is sent
    Then the error is 429 QUOTA_EXCEEDED
    When the subscription is deleted
    Then the answer is 204
    Given a request for session-invitation
    When the request is sent
    Then the answer is 201

  Scenario: A client has a rate of requests
    Given a service with tight limits
    When the subscriptions are listed until that is too often
    Then the error is 429 TOO_MANY_REQUESTS
    And the answer says when to try again
