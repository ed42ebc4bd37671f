Feature: retrieveNotificationChannelSubscriptionList of 0.3
  A client lists what it made under this version, a page at a time.

  Scenario: A client without subscriptions gets an empty list
    When the subscriptions are listed
    Then the answer is 200
    And the answer has the x-correlator of the request
    And the list is empty
    And the answer counts 0 in all

  Scenario: A client lists its subscriptions, and none that it made under 0.2
    Given a subscription to session-invitation
    And a subscription to session-status, registration-ends
    And the client has a subscription under 0.2 as well
    When the subscriptions are listed
    Then the answer is 200
    And the answer has the x-correlator of the request
    And the list has 2 valid items
    And the answer counts 2 in all
    And under 0.2 the list has 1 item

  Scenario: A list comes in pages that lead to each other
    Given the client has 5 subscriptions
    When page 1 of 2 each is listed
    Then the list has 2 valid items
    And the answer counts 5 in all
    And the answer leads to the pages next 2, last 3
    When page 2 of 2 each is listed
    Then the list has 2 valid items
    And the answer leads to the pages first 1, prev 1, next 3, last 3
    When page 3 of 2 each is listed
    Then the list has 1 valid items
    And the answer leads to the pages first 1, prev 2
    And the pages had each subscription once

  Scenario: A page behind the last is empty
    Given the client has 2 subscriptions
    When page 9 of 2 each is listed
    Then the answer is 200
    And the list is empty
    And the answer counts 2 in all

  Scenario Outline: A page that cannot be is refused
    When GET is sent to "/subscriptions?<query>"
    Then the error is 400 INVALID_ARGUMENT

    Examples:
      | query       |
      | page=0      |
      | page=-1     |
      | page=first  |
      | perPage=0   |
      | perPage=101 |
